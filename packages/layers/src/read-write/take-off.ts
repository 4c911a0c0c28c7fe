import { realpath, rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { CallOptions } from "../layer-store.ts";
import type { StoreParts } from "../store-parts.ts";

/** Takes off what is mounted of a layer, and removes its mount point, by a plain rmdir: no file is touched. */
export async function takeOffRW(
  { mounter, mountRoot }: StoreParts,
  mountId: string,
  options: CallOptions,
): Promise<void> {
  try {
    const directory = join(await realpath(mountRoot), mountId);
    await mounter.unmount(directory, options);
    await rmdir(directory);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
