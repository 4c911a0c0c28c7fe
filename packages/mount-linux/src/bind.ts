import type { Mount } from "@varve/mount";
import * as sys from "@varve/syscalls";
import { mustSucceed } from "./mount-error.ts";
import type { ParsedOptions } from "./parsed-options.ts";

/**
 * A second view of the source's mount, not attached yet, with its attributes already in force: a read-only bind is
 * never writable for a moment.
 *
 * It is private at first. Left in the source's peer group, as mount(2) leaves it, unmounting what a tree contains would
 * unmount the originals.
 */
export function createBind(mount: Mount, options: ParsedOptions): number {
  const recursive = options.bind === "tree" ? sys.AT_RECURSIVE : 0;
  const flags = sys.OPEN_TREE_CLONE | sys.OPEN_TREE_CLOEXEC | recursive;
  const about = `bind: source ${mount.source}`;
  const fd = mustSucceed(sys.tryOpenTree(sys.AT_FDCWD, mount.source, flags), about, "open_tree");
  const result = sys.tryMountSetattr(fd, "", sys.AT_EMPTY_PATH | recursive, {
    set: options.set,
    clear: options.clear,
    propagation: sys.MS_PRIVATE,
  });
  if (result === 0) return fd;
  sys.close(fd);
  return mustSucceed(result, about, "mount_setattr");
}
