import { createHash } from "node:crypto";
import { lstat, mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export async function exists(root: string, path: string): Promise<boolean> {
  try {
    await lstat(join(root, path));
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}

/** With the bits for setuid, setgid and sticky. */
export async function modeOf(path: string): Promise<number> {
  return (await lstat(path)).mode % 0o10000;
}

export async function ownerOf(path: string): Promise<readonly [uid: number, gid: number]> {
  const { uid, gid } = await lstat(path);
  return [uid, gid];
}

/** One line for each file and directory below `root`, with its mode and what is in it; sorted. */
export async function tree(root: string): Promise<readonly string[]> {
  const paths = await readdir(root, { recursive: true });
  const lines = paths.map(async (path) => {
    const stat = await lstat(join(root, path));
    const contents = stat.isFile() ? createHash("sha256").update(await readFile(join(root, path))) : undefined;
    return `${path} ${stat.mode.toString(8)} ${contents?.digest("hex") ?? ""}`;
  });
  return (await Promise.all(lines)).toSorted();
}

/** Runs `body` with a new directory, outside of all snapshots, and removes it. */
export async function withDirectory<T>(body: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "varve-case-"));
  try {
    return await body(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Gives the umask back. A worker thread cannot change that of its process; the case then runs with the one there is. */
export function setUmask(umask: number): () => void {
  try {
    const before = process.umask(umask);
    return () => process.umask(before);
  } catch {
    return () => undefined;
  }
}
