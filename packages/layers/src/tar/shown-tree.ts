import { onlyDirectory, withTemporaryMount } from "@varve/mount";
import type { Mount } from "@varve/mount";
import type { StoreParts } from "../store-parts.ts";

/** Runs `body` with a directory that shows the mounts. A single directory needs no mount, and so none of the rights for it. */
export async function withShownTree<T>(
  { mountDirectory, mounter }: Pick<StoreParts, "mountDirectory" | "mounter">,
  mounts: readonly Mount[],
  body: (root: string) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  signal?.throwIfAborted();
  const directory = onlyDirectory(mounts);
  if (directory !== undefined) return body(directory);
  return withTemporaryMount(mounter, mounts, body, { directory: mountDirectory, signal });
}
