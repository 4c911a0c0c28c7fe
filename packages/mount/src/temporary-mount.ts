import { mkdtemp, realpath, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { hasCode } from "@varve/errors";
import type { Mount } from "./mount.ts";
import type { Mounter } from "./mounter.ts";
import { withoutVolatile } from "./read-only.ts";
import { temporaryMountPrefix } from "./temporary-name.ts";

export interface TemporaryMountOptions {
  /** Stops the mounting; the body has to watch it by itself. What is mounted is taken off in any case. */
  readonly signal?: AbortSignal | undefined;
  /** Where the temporary directory is made. Default: the system's directory for such. */
  readonly directory?: string | undefined;
}

/**
 * Mounts the list on a new directory, runs `body` with its path, and takes everything off and away, whatever happens.
 * The directory is removed by a plain rmdir: if something is still mounted there, not a file of it is touched.
 * What a killed process leaves, `removeStaleTemporaryMounts` takes off.
 *
 * @throws whatever the mounter or the body throw; when the body has failed, its error goes before one of the clean-up
 */
export async function withTemporaryMount<T>(
  mounter: Mounter,
  mounts: readonly Mount[],
  body: (root: string) => Promise<T>,
  options: TemporaryMountOptions = {},
): Promise<T> {
  const { signal } = options;
  signal?.throwIfAborted();
  // A mounter follows no links, and this directory may lie behind some.
  const directory = await realpath(options.directory ?? tmpdir());
  const root = await mkdtemp(temporaryMountPrefix(directory));
  try {
    await mounter.mount(withoutVolatile(mounts), root, { signal });
  } catch (error) {
    // Nothing is mounted there if the mounter keeps its word, and if it does not, it comes off all the same.
    await takeOff(mounter, root).catch(() => undefined);
    throw error;
  }
  let result: T;
  try {
    result = await body(root);
  } catch (error) {
    await takeOff(mounter, root).catch(() => undefined);
    throw error;
  }
  await takeOff(mounter, root);
  return result;
}

/** Unmounts and removes the directory; what is busy is detached. Not for an aborted caller to stop. */
export async function takeOff(mounter: Mounter, root: string): Promise<void> {
  try {
    await mounter.unmount(root);
  } catch (error) {
    if (!hasCode(error, "ERR_UNAVAILABLE")) throw error;
    // Somebody still has a file of it open. Out of sight is enough: nobody can reach the directory any more.
    await mounter.unmount(root, { lazy: true });
  }
  await rmdir(root);
}
