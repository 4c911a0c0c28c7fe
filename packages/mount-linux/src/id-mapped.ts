import { CodedError } from "@varve/errors";
import * as sys from "@varve/syscalls";
import { mustSucceed } from "./mount-error.ts";
import { cloneOf } from "./source.ts";

/**
 * Shows the files of a mount that is not attached yet with other ids; `userns` holds the mappings.
 *
 * @param about for messages
 * @param recursive AT_RECURSIVE for the whole tree of mounts, or 0
 * @throws ERR_NOT_IMPLEMENTED the filesystem or the kernel cannot do that
 */
export function mapIds(fd: number, userns: number, about: string, recursive = 0): void {
  const result = sys.tryMountSetattr(fd, "", sys.AT_EMPTY_PATH | recursive, { set: sys.MOUNT_ATTR_IDMAP, userns });
  if (result === -sys.EINVAL) {
    throw new CodedError("ERR_NOT_IMPLEMENTED", `${about}: its filesystem cannot be id-mapped by this kernel`);
  }
  mustSucceed(result, about, "mount_setattr");
}

/** A copy of the mount that `path` lies on, with `path` as its root, with ids mapped, and not attached. */
export function cloneMapped(path: string, userns: number, about: string): number {
  const fd = cloneOf(path, about);
  try {
    mapIds(fd, userns, about);
    return fd;
  } catch (error) {
    sys.close(fd);
    throw error;
  }
}
