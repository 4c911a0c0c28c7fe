import { mkdtemp, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasCode } from "@varve/errors";
import type { Mount } from "./mount.ts";
import type { Mounter } from "./mounter.ts";
import { withoutVolatile } from "./read-only.ts";

export interface TemporaryMountOptions {
  /** Stops the mounting; the body has to watch it by itself. What is mounted is taken off in any case. */
  readonly signal?: AbortSignal | undefined;
  /** Where the temporary directory is made. Default: the system's directory for such. */
  readonly directory?: string | undefined;
}

/**
 * Mounts the list on a new directory, runs `body` with its path, and takes everything off and away, whatever happens.
 * The directory is removed by a plain rmdir: if something is still mounted there, not a file of it is touched.
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
  const root = await mkdtemp(join(options.directory ?? tmpdir(), "varve-mount-"));
  try {
    await mounter.mount(withoutVolatile(mounts), root, { signal });
  } catch (error) {
    await rmdir(root).catch(() => undefined);
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

async function takeOff(mounter: Mounter, root: string): Promise<void> {
  try {
    await mounter.unmount(root);
  } catch (error) {
    if (!hasCode(error, "ERR_UNAVAILABLE")) throw error;
    // Somebody still has a file of it open. Out of sight is enough: nobody can reach the directory any more.
    await mounter.unmount(root, { lazy: true });
  }
  await rmdir(root);
}
