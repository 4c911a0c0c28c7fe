import { closeSync, constants, fchmodSync, fstatSync, openSync } from "node:fs";
import { chmod, readdir, rename, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "@varve/errors";
import { isErrno } from "./errno.ts";
import { mountIdOf } from "./mount-id.ts";
import { trashName } from "./staging.ts";

const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const batchSize = 16;

/**
 * Removes `name` in `root`, and all below. What is gone is no error.
 *
 * A directory found on the way is first renamed to a place in `root`, which fails for one that something is mounted on. So no
 * path grows with the depth of the tree. What is in a directory is removed through an open descriptor of it: whoever works in
 * the tree (a container with its root there) cannot swap it for a link that leads elsewhere, nor mount anything over it.
 * What a killed process leaves has names that start with `rm-`.
 *
 * @param mount what `root` is on, as `mountOf` says
 * @throws ERR_UNAVAILABLE something is mounted below
 */
export async function removeTree(root: string, name: string, mount: string): Promise<void> {
  const pending = [name];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const directory = await openOrUnlink(join(root, next));
    if (directory === undefined) continue;
    try {
      if (mountIdOf(directory) !== mount) throw mounted(join(root, next));
      await empty(directory, root, pending);
    } finally {
      closeSync(directory);
    }
    await busyIsMounted(orGone(rmdir(join(root, next))), join(root, next));
  }
}

/** A descriptor of a directory; what is something else goes at once. */
async function openOrUnlink(path: string): Promise<number | undefined> {
  try {
    return openSync(path, directoryFlags);
  } catch (error) {
    if (isErrno(error, "ENOTDIR", "ELOOP")) await orGone(unlink(path));
    else if (isErrno(error, "EACCES")) {
      // Only without root does it matter; nobody else can put a link in the place of this name.
      await chmod(path, 0o700);
      return openSync(path, directoryFlags);
    } else if (!isErrno(error, "ENOENT")) throw error;
    return undefined;
  }
}

async function empty(directory: number, root: string, pending: string[]): Promise<void> {
  const { mode } = fstatSync(directory);
  if ((mode & 0o700) !== 0o700) fchmodSync(directory, 0o700);
  const path = `/proc/self/fd/${directory}`;
  const names = await readdir(path, { encoding: "buffer" });
  for (let start = 0; start < names.length; start += batchSize) {
    const batch = names.slice(start, start + batchSize);
    // All have to be done with the descriptor before it is closed.
    const results = await Promise.allSettled(batch.map((name) => removeEntry(path, name, root, pending)));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }
}

async function removeEntry(directory: string, name: Buffer, root: string, pending: string[]): Promise<void> {
  const path = Buffer.concat([Buffer.from(`${directory}/`), name]);
  try {
    await unlink(path);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return;
    if (isErrno(error, "EBUSY")) throw mounted(root, error);
    // What unlink says of a directory: EISDIR on Linux, EPERM by POSIX.
    if (!isErrno(error, "EISDIR", "EPERM")) throw error;
    const trash = trashName();
    if (await busyIsMounted(orGone(moveDirectory(path, join(root, trash))), root)) pending.push(trash);
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

async function busyIsMounted<T>(call: Promise<T>, path: string): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw isErrno(error, "EBUSY") ? mounted(path, error) : error;
  }
}

function mounted(path: string, cause?: unknown): CodedError {
  const message = `directory ${path}: cannot be removed: something is mounted in it`;
  return new CodedError("ERR_UNAVAILABLE", message, cause === undefined ? {} : { cause });
}

async function orGone<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}
