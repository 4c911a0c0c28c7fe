import { randomUUID } from "node:crypto";
import { open, rename, rm, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { CodedError } from "@varve/errors";
import { hasErrno, isMissing } from "./read-file.ts";

const pollDelay = 20;
// A change takes milliseconds: whoever holds the lock this long was killed.
const staleAfter = 5000;
const giveUpAfter = 60_000;

/**
 * Runs `body` while nobody else does who uses the same lock file. The lock of a killed process is removed after 5 seconds.
 *
 * @throws ERR_DEADLINE_EXCEEDED it was always held by somebody
 */
export async function withLockFile<T>(
  path: string,
  signal: AbortSignal | undefined,
  body: () => Promise<T>,
): Promise<T> {
  await acquire(path, signal);
  try {
    return await body();
  } finally {
    await rm(path, { force: true });
  }
}

async function acquire(path: string, signal: AbortSignal | undefined): Promise<void> {
  const started = performance.now();
  let seen: string | undefined;
  let since = started;
  while (!(await tryToCreate(path))) {
    const now = performance.now();
    const holder = await identityOf(path);
    if (holder === undefined || holder !== seen) {
      seen = holder;
      since = now;
    } else if (now - since > staleAfter) {
      await breakLock(path);
    }
    if (now - started > giveUpAfter) throw new CodedError("ERR_DEADLINE_EXCEEDED", `${path}: held by somebody else`);
    await pause(signal);
  }
}

async function tryToCreate(path: string): Promise<boolean> {
  try {
    await (await open(path, "wx", 0o600)).close();
    return true;
  } catch (error) {
    if (hasErrno(error, "EEXIST")) return false;
    throw error;
  }
}

async function identityOf(path: string): Promise<string | undefined> {
  try {
    const { ino, ctimeNs } = await stat(path, { bigint: true });
    return `${ino} ${ctimeNs}`;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** By a rename, which one of several wins. Who loses a lock that way still sees that the file has changed. */
async function breakLock(path: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
    await rm(aside, { force: true });
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

async function pause(signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(pollDelay, undefined, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
