import { CodedError } from "@varve/errors";
import type { Mount } from "@varve/mount";
import * as sys from "@varve/syscalls";
import { createBind } from "./bind.ts";
import { finish, withFilesystem } from "./filesystem-context.ts";
import { mustSucceed } from "./mount-error.ts";
import { createOverlay } from "./overlay.ts";
import { parseOptions } from "./parsed-options.ts";
import type { ParsedOptions } from "./parsed-options.ts";

/** Opens the place to mount on, once: whatever happens to its name afterwards, it stays this place. */
export function openTarget(target: string): number {
  const result = sys.tryOpenat2(sys.AT_FDCWD, target, { flags: sys.O_PATH | sys.O_NOFOLLOW });
  const fd = mustSucceed(result, `mount target ${target}`, "openat2");
  if ((sys.statx(fd, "", 0).mode & sys.S_IFMT) !== sys.S_IFLNK) return fd;
  sys.close(fd);
  throw new CodedError("ERR_FAILED_PRECONDITION", `mount target ${target}: is a symbolic link`);
}

/**
 * Mounts one element and returns a descriptor of its root.
 *
 * @param base the root of the list so far
 */
export function attach(mount: Mount, base: number): number {
  const options = parseOptions(mount);
  const place = openPlace(mount, base);
  try {
    const fd = create(mount, options);
    try {
      move(fd, place, options);
      return fd;
    } catch (error) {
      sys.close(fd);
      throw error;
    }
  } finally {
    if (place !== base) sys.close(place);
  }
}

/** Takes off exactly the mount whose root `fd` is, and closes `fd`. */
export function detach(fd: number): void {
  sys.tryUmount2(`/proc/self/fd/${fd}`, sys.MNT_DETACH);
  sys.close(fd);
}

function openPlace(mount: Mount, base: number): number {
  if (mount.target === undefined || mount.target === "") return base;
  // The tree belongs to an image: its links lead to places inside it and nowhere else.
  const how = { flags: sys.O_PATH, resolve: sys.RESOLVE_IN_ROOT };
  return mustSucceed(sys.tryOpenat2(base, mount.target, how), `mount target ${mount.target}`, "openat2");
}

function create(mount: Mount, options: ParsedOptions): number {
  if (options.bind !== "none") return createBind(mount, options);
  if (mount.type === "overlay") return createOverlay(mount, options);
  return withFilesystem(mount.type, (context) => finish(context, mount.source, options));
}

function move(fd: number, place: number, options: ParsedOptions): void {
  const flags = sys.MOVE_MOUNT_F_EMPTY_PATH | sys.MOVE_MOUNT_T_EMPTY_PATH;
  mustSucceed(sys.tryMoveMount(fd, "", place, "", flags), "attaching", "move_mount");
  try {
    // Not earlier: a mount that is attached below a shared one becomes shared.
    for (const { kind, recursive } of options.propagation) {
      const at = sys.AT_EMPTY_PATH | (recursive ? sys.AT_RECURSIVE : 0);
      mustSucceed(sys.tryMountSetattr(fd, "", at, { propagation: kind }), "propagation", "mount_setattr");
    }
  } catch (error) {
    sys.tryUmount2(`/proc/self/fd/${fd}`, sys.MNT_DETACH);
    throw error;
  }
}
