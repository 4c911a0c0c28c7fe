import { randomUUID } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { mkdir, open, readlink, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { CodedError } from "@varve/errors";
import { withLockFile } from "./lock-file.ts";
import { hasErrno, isMissing, readSmallFile } from "./read-file.ts";

const maxLinks = 40;
const maxAttempts = 20;

/**
 * Changes a file as a whole: readers see the old or the new one, and only its owner may read it. Those who do the same at
 * once take turns; a change that somebody else makes meanwhile is taken in.
 *
 * @param change what to write for what is there; `undefined` leaves it as it is. Called again when it has changed.
 * @throws ERR_DEADLINE_EXCEEDED others hold the lock for too long
 * @throws ERR_UNAVAILABLE somebody who heeds no lock changes it all the time
 */
export async function changeFile(
  path: string,
  change: (text: string | undefined) => string | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const target = await throughLinks(path);
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  await withLockFile(`${target}.lock`, signal, async () => {
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const before = await readSmallFile(target);
      const text = change(before?.text);
      if (text === undefined || (await replaceIfUnchanged(target, text, before?.stats))) return;
    }
    throw new CodedError("ERR_UNAVAILABLE", `${path}: changes all the time`);
  });
}

/** Where a chain of symbolic links ends, whether something is there or not: the links stay. */
async function throughLinks(path: string): Promise<string> {
  let current = resolve(path);
  for (let links = 0; links < maxLinks; links += 1) {
    let next: string;
    try {
      next = await readlink(current);
    } catch (error) {
      // No link, or nothing there.
      if (hasErrno(error, "EINVAL") || isMissing(error)) return current;
      throw error;
    }
    current = resolve(dirname(current), next);
  }
  throw new CodedError("ERR_INVALID_DATA", `${path}: too many symbolic links`);
}

async function replaceIfUnchanged(path: string, text: string, before: BigIntStats | undefined): Promise<boolean> {
  if (before !== undefined && !before.isFile()) throw new CodedError("ERR_INVALID_DATA", `${path}: not a regular file`);
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}`);
  try {
    await writeDurably(temporary, text, before);
    if (!isSame(before, await stateOf(path))) return false;
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
  await syncDirectory(dirname(path));
  return true;
}

async function writeDurably(path: string, text: string, before: BigIntStats | undefined): Promise<void> {
  const handle = await open(path, "wx", 0o600);
  try {
    await handle.writeFile(text);
    if (before !== undefined) {
      // root who changes a user's file must not take it away from that user; nobody else can give a file away.
      await handle.chown(Number(before.uid), Number(before.gid)).catch(() => undefined);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function stateOf(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isSame(before: BigIntStats | undefined, now: BigIntStats | undefined): boolean {
  if (before === undefined || now === undefined) return before === now;
  return before.dev === now.dev && before.ino === now.ino && before.ctimeNs === now.ctimeNs && before.size === now.size;
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
