import { CodedError } from "@varve/errors";
import type { Mount } from "@varve/mount";
import * as sys from "@varve/syscalls";
import { createBind } from "./bind.ts";
import { finish, withFilesystem } from "./filesystem-context.ts";
import { mapIds } from "./id-mapped.ts";
import { attachLoop } from "./loop.ts";
import { mustSucceed } from "./mount-error.ts";
import { createOverlay } from "./overlay.ts";
import { wantsReadOnly } from "./parsed-options.ts";
import type { ParsedOptions } from "./parsed-options.ts";
import type { PreparedMount } from "./prepare.ts";
import { remount } from "./remount.ts";

/** Names in the path of a target may be exchanged at any time, and then looking them up below a directory is repeated. */
const LOOKUPS = 1000;

/** Opens the place to mount on, once: whatever happens to its name afterwards, it stays this place. */
export function openTarget(target: string): number {
  const how = { flags: sys.O_PATH | sys.O_NOFOLLOW, resolve: sys.RESOLVE_NO_SYMLINKS };
  const result = sys.tryOpenat2(sys.AT_FDCWD, target, how);
  if (result === -sys.ELOOP) {
    throw new CodedError("ERR_FAILED_PRECONDITION", `mount target ${target}: a symbolic link is on the way to it`);
  }
  const fd = mustSucceed(result, `mount target ${target}`, "openat2");
  if ((sys.statx(fd, "", 0).mode & sys.S_IFMT) !== sys.S_IFLNK) return fd;
  sys.close(fd);
  throw new CodedError("ERR_FAILED_PRECONDITION", `mount target ${target}: is a symbolic link`);
}

/**
 * Mounts one element and returns a descriptor of its root, or changes what is mounted and returns nothing.
 *
 * @param base the root of the list so far
 */
export function attach(prepared: PreparedMount, base: number): number | undefined {
  const { mount, options } = prepared;
  const place = openPlace(mount, base);
  try {
    if (options.remount) {
      remount(place, options);
      propagate(place, options);
      return undefined;
    }
    const fd = create(prepared);
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
  let result = -sys.EAGAIN;
  for (let round = 0; round < LOOKUPS && result === -sys.EAGAIN; round += 1) {
    result = sys.tryOpenat2(base, mount.target, how);
  }
  return mustSucceed(result, `mount target ${mount.target}`, "openat2");
}

function create({ mount, options, userns, made }: PreparedMount): number {
  if (options.bind !== "none") return createBind(mount, options, userns);
  if (mount.type === "overlay") return createOverlay(mount, options, userns);
  const fd = made === undefined ? createNew(mount, options) : again(made, mount.type);
  if (userns === undefined) return fd;
  try {
    mapIds(fd, userns, `filesystem ${mount.type}`);
    return fd;
  } catch (error) {
    sys.close(fd);
    throw error;
  }
}

/** A second descriptor, for the first is closed with the list. */
function again(fd: number, type: string): number {
  return mustSucceed(sys.tryOpenat2(sys.AT_FDCWD, `/proc/self/fd/${fd}`, { flags: sys.O_PATH }), type, "openat2");
}

function createNew(mount: Mount, options: ParsedOptions): number {
  return options.loop === undefined ? createPlain(mount.type, mount.source, options) : createOnLoop(mount, options);
}

function createPlain(type: string, source: string, options: ParsedOptions): number {
  return withFilesystem(type, (context) => finish(context, source, options));
}

/** The device frees itself when the mount has gone, or, if there is none, when it is closed here. */
function createOnLoop({ type, source }: Mount, options: ParsedOptions): number {
  const range = options.loop ?? { offset: 0, sizeLimit: 0 };
  const device = attachLoop(source, range, wantsReadOnly(options));
  try {
    const set = device.readOnly ? options.set | sys.MOUNT_ATTR_RDONLY : options.set;
    return createPlain(type, device.path, { ...options, set });
  } catch (error) {
    // The device is nobody's idea but ours; what the caller knows is the image.
    if (error instanceof Error) error.message = `loop: source ${sys.printablePath(source)}: ${error.message}`;
    throw error;
  } finally {
    sys.close(device.fd);
  }
}

function move(fd: number, place: number, options: ParsedOptions): void {
  const flags = sys.MOVE_MOUNT_F_EMPTY_PATH | sys.MOVE_MOUNT_T_EMPTY_PATH;
  mustSucceed(sys.tryMoveMount(fd, "", place, "", flags), "attaching", "move_mount");
  try {
    // Not earlier: a mount that is attached below a shared one becomes shared.
    propagate(fd, options);
  } catch (error) {
    sys.tryUmount2(`/proc/self/fd/${fd}`, sys.MNT_DETACH);
    throw error;
  }
}

function propagate(fd: number, { propagation }: ParsedOptions): void {
  for (const { kind, recursive } of propagation) {
    const at = sys.AT_EMPTY_PATH | (recursive ? sys.AT_RECURSIVE : 0);
    mustSucceed(sys.tryMountSetattr(fd, "", at, { propagation: kind }), "propagation", "mount_setattr");
  }
}
