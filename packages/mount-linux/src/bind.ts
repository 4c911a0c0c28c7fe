import type { Mount } from "@varve/mount";
import * as sys from "@varve/syscalls";
import { mapIds } from "./id-mapped.ts";
import { mustSucceed } from "./mount-error.ts";
import type { ParsedOptions } from "./parsed-options.ts";
import { cloneOf } from "./source.ts";

/**
 * A second view of the source's mount, not attached yet, with its attributes already in force: a read-only bind is
 * never writable for a moment.
 *
 * It is private at first. Left in the source's peer group, as mount(2) leaves it, unmounting what a tree contains would
 * unmount the originals.
 *
 * @param userns holds the mappings of ids, if there are some
 */
export function createBind(mount: Mount, options: ParsedOptions, userns: number | undefined): number {
  const recursive = options.bind === "tree" ? sys.AT_RECURSIVE : 0;
  const about = `bind: source ${mount.source}`;
  const fd = cloneOf(mount.source, about, recursive);
  try {
    const { set, clear } = options;
    const attributes = { set, clear, propagation: sys.MS_PRIVATE };
    const result = sys.tryMountSetattr(fd, "", sys.AT_EMPTY_PATH | recursive, attributes);
    mustSucceed(result, about, "mount_setattr");
    if (userns !== undefined) mapIds(fd, userns, about, recursive);
    return fd;
  } catch (error) {
    sys.close(fd);
    throw error;
  }
}
