import { splitMountOptions } from "@varve/mount";
import type { Mount } from "@varve/mount";

/** The mounts without id mappings: a layer has the ids that are on disk. */
export function asStored(mounts: readonly Mount[]): readonly Mount[] {
  return mounts.map((mount) => ({
    ...mount,
    options: splitMountOptions(mount.options).filter((option) => !/^[ug]idmap=/.test(option)),
  }));
}
