import { randomUUID } from "node:crypto";
import { link, readlink, rename, rm, symlink } from "node:fs/promises";
import { CodedError } from "@varve/errors";
import {
  backoffDelays,
  createKeyedLock,
  currentOwner,
  isOwnerAlive,
  ownerFromFileName,
  ownerToFileName,
  sleep,
} from "@varve/locks";
import { isErrno } from "./held-directory.ts";
import type { HeldDirectory } from "./held-directory.ts";

const lockName = ".varve-lock";
const patience = 60_000;
const inProcess = createKeyedLock();

/**
 * Runs `body` while no other varve, in whatever process, changes the same layout. The lock is a link that points to its holder's name
 * and to no file: it is made in one step, and that of a dead process counts for nothing. Other tools do not know it.
 *
 * @throws ERR_UNAVAILABLE a living process has held it for a minute
 */
export async function withIndexLock<T>(
  root: HeldDirectory,
  body: () => Promise<T>,
  { signal }: { readonly signal?: AbortSignal | undefined },
): Promise<T> {
  const run = async (): Promise<T> => {
    await acquire(root, signal);
    try {
      return await body();
    } finally {
      await rm(root.at(lockName), { force: true });
    }
  };
  return inProcess.run(root.path, run, { signal });
}

async function acquire(root: HeldDirectory, signal: AbortSignal | undefined): Promise<void> {
  const until = performance.now() + patience;
  for (const delay of backoffDelays({ cap: 256 })) {
    if (await tryAcquire(root)) return;
    if (performance.now() > until) {
      throw new CodedError("ERR_UNAVAILABLE", `layout ${root.path}: locked by another process (${lockName})`);
    }
    await sleep(delay, { signal });
  }
}

async function tryAcquire(root: HeldDirectory): Promise<boolean> {
  try {
    await symlink(ownerToFileName(currentOwner()), root.at(lockName));
    return true;
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  }
  if (!(await isDead(root, lockName))) return false;
  // Taken away under a name of its own: of two who found it dead only one gets it, and can look again at what it got.
  const taken = `${lockName}-${randomUUID()}`;
  try {
    await rename(root.at(lockName), root.at(taken));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    throw error;
  }
  // The other one was faster, and this is its lock.
  if (!(await isDead(root, taken))) await link(root.at(taken), root.at(lockName)).catch(() => undefined);
  await rm(root.at(taken), { force: true });
  return false;
}

/** Text that is no owner's name is dead; so is what is no link. */
async function isDead(root: HeldDirectory, name: string): Promise<boolean> {
  try {
    const owner = ownerFromFileName(await readlink(root.at(name)));
    return owner === undefined || !isOwnerAlive(owner);
  } catch (error) {
    if (isErrno(error, "EINVAL")) return true;
    if (isErrno(error, "ENOENT")) return false;
    throw error;
  }
}
