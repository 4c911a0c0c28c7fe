import * as sys from "@varve/syscalls";

/** MOUNT_ATTR_ constants to set, and those to clear first. */
export interface AttributeChange {
  readonly set?: number;
  readonly clear?: number;
}

/** A propagation option, for the mount alone or the whole tree of mounts. */
export interface Propagation {
  readonly kind: number;
  readonly recursive: boolean;
}

const NOTHING_PRIVILEGED = sys.MOUNT_ATTR_NOSUID | sys.MOUNT_ATTR_NODEV;

/** Of each pair that excludes each other the later option counts, as in mount(8). */
export const attributes: ReadonlyMap<string, AttributeChange> = new Map([
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
  // Who may mount is decided elsewhere; what else these options mean stays.
  ["user", { set: NOTHING_PRIVILEGED | sys.MOUNT_ATTR_NOEXEC }],
  ["users", { set: NOTHING_PRIVILEGED | sys.MOUNT_ATTR_NOEXEC }],
  ["owner", { set: NOTHING_PRIVILEGED }],
  ["group", { set: NOTHING_PRIVILEGED }],
]);

export const propagations: ReadonlyMap<string, Propagation> = new Map([
  ["private", { kind: sys.MS_PRIVATE, recursive: false }],
  ["rprivate", { kind: sys.MS_PRIVATE, recursive: true }],
  ["slave", { kind: sys.MS_SLAVE, recursive: false }],
  ["rslave", { kind: sys.MS_SLAVE, recursive: true }],
  ["shared", { kind: sys.MS_SHARED, recursive: false }],
  ["rshared", { kind: sys.MS_SHARED, recursive: true }],
  ["unbindable", { kind: sys.MS_UNBINDABLE, recursive: false }],
  ["runbindable", { kind: sys.MS_UNBINDABLE, recursive: true }],
]);

/** For `/etc/fstab` and its readers, with no meaning for a mount that is made now. */
const ignored: ReadonlySet<string> = new Set([
  "defaults",
  "auto",
  "noauto",
  "nofail",
  "_netdev",
  "nouser",
  "nousers",
  "noowner",
  "nogroup",
  "silent",
  "loud",
]);

/** Whether an option is a note from one program to another, which the kernel must not see. (U-MNT.8) */
export function isNote(option: string): boolean {
  return ignored.has(option) || /^(?:[Xx]-|comment=)/.test(option);
}

/** Whether an option means something that another program would have to do before the mount. */
export function needsAnotherProgram(option: string): boolean {
  return /^(?:X-mount\.|move$|loop=|encryption=|helper=)/.test(option);
}

/** Whether an option says something about the filesystem or what may be done in it, and not how and where to mount it. */
export function isForKernel(option: string): boolean {
  return !isNote(option) && !propagations.has(option) && !/^(?:[ug]idmap|offset|sizelimit)=|^loop$/.test(option);
}
