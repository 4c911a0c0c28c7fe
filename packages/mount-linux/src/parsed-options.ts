import { CodedError } from "@varve/errors";
import { filesystemType, isOverlayDirectory, splitMountOptions } from "@varve/mount";
import type { Mount } from "@varve/mount";
import * as sys from "@varve/syscalls";

/** A propagation option, for the mount alone or the whole tree of mounts. */
interface Propagation {
  readonly kind: number;
  readonly recursive: boolean;
}

/** A mount's options, sorted by who acts on them. */
export interface ParsedOptions {
  readonly bind: "none" | "single" | "tree";
  readonly readOnly: boolean;
  /** MOUNT_ATTR_ constants to set, and those to clear first. */
  readonly set: number;
  readonly clear: number;
  readonly propagation: readonly Propagation[];
  /** For the filesystem; the directories of an overlay are not among them. */
  readonly parameters: readonly string[];
}

/** Of each pair that excludes each other the later option counts, as in mount(8). */
const attributes: ReadonlyMap<string, { readonly set?: number; readonly clear?: number }> = new Map([
  ["ro", { set: sys.MOUNT_ATTR_RDONLY }],
  ["rw", { clear: sys.MOUNT_ATTR_RDONLY }],
  ["nosuid", { set: sys.MOUNT_ATTR_NOSUID }],
  ["suid", { clear: sys.MOUNT_ATTR_NOSUID }],
  ["nodev", { set: sys.MOUNT_ATTR_NODEV }],
  ["dev", { clear: sys.MOUNT_ATTR_NODEV }],
  ["noexec", { set: sys.MOUNT_ATTR_NOEXEC }],
  ["exec", { clear: sys.MOUNT_ATTR_NOEXEC }],
  ["nodiratime", { set: sys.MOUNT_ATTR_NODIRATIME }],
  ["diratime", { clear: sys.MOUNT_ATTR_NODIRATIME }],
  ["nosymfollow", { set: sys.MOUNT_ATTR_NOSYMFOLLOW }],
  ["symfollow", { clear: sys.MOUNT_ATTR_NOSYMFOLLOW }],
  // The three kinds of access times are values of one field, so the field is cleared for each.
  ["noatime", { clear: sys.MOUNT_ATTR__ATIME, set: sys.MOUNT_ATTR_NOATIME }],
  ["relatime", { clear: sys.MOUNT_ATTR__ATIME, set: sys.MOUNT_ATTR_RELATIME }],
  ["strictatime", { clear: sys.MOUNT_ATTR__ATIME, set: sys.MOUNT_ATTR_STRICTATIME }],
  ["atime", { clear: sys.MOUNT_ATTR__ATIME }],
  ["norelatime", { clear: sys.MOUNT_ATTR__ATIME }],
  ["nostrictatime", { clear: sys.MOUNT_ATTR__ATIME }],
  ["defaults", {}],
]);

const propagations: ReadonlyMap<string, Propagation> = new Map([
  ["private", { kind: sys.MS_PRIVATE, recursive: false }],
  ["rprivate", { kind: sys.MS_PRIVATE, recursive: true }],
  ["slave", { kind: sys.MS_SLAVE, recursive: false }],
  ["rslave", { kind: sys.MS_SLAVE, recursive: true }],
  ["shared", { kind: sys.MS_SHARED, recursive: false }],
  ["rshared", { kind: sys.MS_SHARED, recursive: true }],
  ["unbindable", { kind: sys.MS_UNBINDABLE, recursive: false }],
  ["runbindable", { kind: sys.MS_UNBINDABLE, recursive: true }],
]);

/** Meant for another program that would have to act before the mount; to pass over them would mount something else. */
const unsupported = /^(?:loop|loop=.*|remount|move|offset=.*|sizelimit=.*|encryption=.*)$/;

/**
 * @throws ERR_NOT_IMPLEMENTED an option or a type that needs more than the kernel
 * @throws ERR_INVALID_ARGUMENT a bind mount with options for a filesystem
 */
export function parseOptions(mount: Mount): ParsedOptions {
  refuseSpecialTypes(mount);
  let bind: ParsedOptions["bind"] = mount.type === "bind" ? "single" : "none";
  let set = 0;
  let clear = 0;
  const propagation: Propagation[] = [];
  const parameters: string[] = [];
  for (const option of splitMountOptions(mount.options)) {
    const attribute = attributes.get(option);
    const kind = propagations.get(option);
    if (attribute !== undefined) {
      set = (set & ~(attribute.clear ?? 0)) | (attribute.set ?? 0);
      clear |= attribute.clear ?? 0;
    } else if (kind !== undefined) propagation.push(kind);
    else if (option === "bind" || option === "rbind") bind = option === "rbind" ? "tree" : "single";
    else if (unsupported.test(option)) {
      throw new CodedError("ERR_NOT_IMPLEMENTED", `mount option ${option}: not supported`);
    } else if (!isForOthers(mount, option)) parameters.push(option);
  }
  if (bind !== "none" && parameters.length > 0) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `mount option ${parameters[0]}: not an option of bind mounts`);
  }
  return { bind, readOnly: (set & sys.MOUNT_ATTR_RDONLY) !== 0, set, clear, propagation, parameters };
}

function isForOthers(mount: Mount, option: string): boolean {
  // U-MNT.8: notes of containerd to itself.
  if (option.startsWith("X-containerd.")) return true;
  return mount.type === "overlay" && isOverlayDirectory(option);
}

function refuseSpecialTypes(mount: Mount): void {
  if (mount.type !== filesystemType(mount)) {
    throw new CodedError("ERR_NOT_IMPLEMENTED", `mount type ${mount.type}: needs a mount manager`);
  }
  if (/^fuse3?\./.test(mount.type)) {
    throw new CodedError("ERR_NOT_IMPLEMENTED", `mount type ${mount.type}: needs a helper program`);
  }
}
