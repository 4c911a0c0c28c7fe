import { chmod, lstat, readFile, readdir, rename, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "@varve/errors";
import { isErrno } from "./errno.ts";
import { trashName } from "./staging.ts";

const batchSize = 16;

/**
 * Removes `path`, a directory whose parent nobody else can write to. A path that is gone is no error.
 *
 * A directory found on the way is first renamed to a place beside `path`. So no path grows with the depth of the tree,
 * and whoever still works inside the tree (a container with its root there) cannot swap a directory for a link that leads
 * out of it. What a killed process leaves has names that start with `rm-`.
 *
 * @throws ERR_UNAVAILABLE something is mounted below
 */
export async function removeTree(path: string): Promise<void> {
  await mustHoldNoMount(path);
  const pending = [path];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    await removeDirectory(next, join(path, ".."), pending);
  }
}

async function removeDirectory(path: string, aside: string, pending: string[]): Promise<void> {
  const stat = await orGone(lstat(path));
  if (stat === undefined) return;
  if (!stat.isDirectory()) {
    await orGone(unlink(path));
    return;
  }
  // Only without root does it matter; nobody else can put a link in the place of this name.
  if ((stat.mode & 0o700) !== 0o700) await orGone(chmod(path, 0o700));
  const names = (await orGone(readdir(path, { encoding: "buffer" }))) ?? [];
  for (let start = 0; start < names.length; start += batchSize) {
    const batch = names.slice(start, start + batchSize);
    await Promise.all(batch.map((name) => removeEntry(path, name, aside, pending)));
  }
  await orGone(rmdir(path));
}

async function removeEntry(directory: string, name: Buffer, aside: string, pending: string[]): Promise<void> {
  const path = Buffer.concat([Buffer.from(`${directory}/`), name]);
  try {
    await unlink(path);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return;
    // What unlink says of a directory: EISDIR on Linux, EPERM by POSIX.
    if (!isErrno(error, "EISDIR", "EPERM")) throw error;
    const moved = join(aside, trashName());
    if ((await orGone(moveDirectory(path, moved))) === true) pending.push(moved);
  }
}

async function moveDirectory(path: Buffer, to: string): Promise<true> {
  try {
    await rename(path, to);
  } catch (error) {
    // Its own `..` changes, for which the owner needs to be allowed to write to it; root always is.
    if (!isErrno(error, "EACCES") || process.geteuid?.() === 0) throw error;
    await chmod(path, 0o700);
    await rename(path, to);
  }
  return true;
}

/** Takes a mount in the tree for a reason to stop: what is in it belongs to somebody else. */
async function mustHoldNoMount(path: string): Promise<void> {
  const table = await readFile("/proc/self/mountinfo", "latin1").catch(() => "");
  const prefix = `${Buffer.from(path).toString("latin1")}/`;
  for (const line of table.split("\n")) {
    // Field 5 of proc_pid_mountinfo(5), with blanks and the like as three octal digits.
    const point = (line.split(" ", 5)[4] ?? "").replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    if (!point.startsWith(prefix)) continue;
    throw new CodedError("ERR_UNAVAILABLE", `directory ${path}: cannot be removed: something is mounted in it`);
  }
}

async function orGone<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}
