import { FIELDS, FIRST_PATH, kernel, SECOND_PATH, THIRD_PATH } from "./kernel.ts";
import type { PathLike } from "./path-like.ts";
import { check } from "./syscall-error.ts";

/** What mount(2) takes; a part that is absent is a null pointer. */
export interface MountArguments {
  readonly source?: PathLike | undefined;
  readonly type?: PathLike | undefined;
  /** MS_ constants. */
  readonly flags: number;
  /** Options of the filesystem, separated by commas, shorter than one page. */
  readonly data?: PathLike | undefined;
}

/** Changes for `mountSetattr`. */
export interface MountAttributes {
  /** MOUNT_ATTR_ constants to set. */
  readonly set?: number | undefined;
  /** MOUNT_ATTR_ constants to clear first. */
  readonly clear?: number | undefined;
  /** MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE, or absent to leave it. */
  readonly propagation?: number | undefined;
  /** A descriptor of the user namespace, with MOUNT_ATTR_IDMAP. */
  readonly userns?: number | undefined;
}

/** A parameter for `fsconfig`: a switch, a text of at most 255 bytes, or a file by its descriptor. */
export type FsParameter =
  | { readonly key: string }
  | { readonly key: string; readonly value: PathLike }
  | { readonly key: string; readonly fd: number };

const FSCONFIG_SET_FLAG = 0;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_SET_FD = 5;
const FSCONFIG_CMD_CREATE = 6;
const FSCONFIG_CMD_RECONFIGURE = 7;
const TYPE_OFFSET = FIELDS;
const TYPE_BYTES = 255;

/** As `mount`, but a failure is the negative error number. */
export function tryMount(target: PathLike, options: MountArguments): number {
  const k = kernel();
  const at = k.path(target, FIRST_PATH);
  const source = options.source === undefined ? 0 : k.path(options.source, SECOND_PATH);
  const type = options.type === undefined ? 0 : k.text(options.type, TYPE_OFFSET, TYPE_BYTES);
  const data = options.data === undefined ? 0 : k.path(options.data, THIRD_PATH);
  const failed = [at, source, type, data].find((address) => address < 0);
  return failed ?? k.call(k.numbers.mount, source, at, type, options.flags, data);
}

/** mount(2). Follows links at `target`; give `/proc/self/fd/N` to mount on a place that is already open. */
export function mount(target: PathLike, options: MountArguments): void {
  check(tryMount(target, options), "mount", options.source ?? options.type ?? "", target);
}

/** As `umount2`, but a failure is the negative error number. */
export function tryUmount2(target: PathLike, flags: number): number {
  const k = kernel();
  const address = k.path(target, FIRST_PATH);
  return address < 0 ? address : k.call(k.numbers.umount2, address, flags);
}

/** Takes off the topmost mount at `target`; `flags` are MNT_ constants and UMOUNT_NOFOLLOW. */
export function umount2(target: PathLike, flags: number): void {
  check(tryUmount2(target, flags), "umount2", target);
}

/** As `tryUmount2`, without blocking this thread: the last unmount of a filesystem writes out what is not on the disk. */
export async function tryUmount2Async(target: PathLike, flags: number): Promise<number> {
  const k = kernel();
  return await k.callInBackground(k.numbers.umount2, target, flags);
}

/** As `umount2`, without blocking this thread. */
export async function umount2Async(target: PathLike, flags: number): Promise<void> {
  check(await tryUmount2Async(target, flags), "umount2", target);
}

/** As `fsopen`, but a failure is the negative error number. */
export function tryFsopen(type: PathLike, flags: number): number {
  const k = kernel();
  const address = k.path(type, FIRST_PATH);
  return address < 0 ? address : k.call(k.numbers.fsopen, address, flags);
}

/** A descriptor to configure a filesystem of `type` with. Reading it gives the kernel's explanations of errors. */
export function fsopen(type: PathLike, flags: number): number {
  return check(tryFsopen(type, flags), "fsopen", type);
}

/** As `fsconfig`, but a failure is the negative error number. */
export function tryFsconfig(fd: number, parameter: FsParameter): number {
  const k = kernel();
  const key = k.path(parameter.key, FIRST_PATH);
  if (key < 0) return key;
  const { fsconfig: call } = k.numbers;
  if ("fd" in parameter) return k.call(call, fd, FSCONFIG_SET_FD, key, 0, parameter.fd);
  if (!("value" in parameter)) return k.call(call, fd, FSCONFIG_SET_FLAG, key);
  const value = k.path(parameter.value, SECOND_PATH);
  return value < 0 ? value : k.call(call, fd, FSCONFIG_SET_STRING, key, value);
}

/** Sets one parameter of a filesystem. */
export function fsconfig(fd: number, parameter: FsParameter): void {
  check(tryFsconfig(fd, parameter), "fsconfig", parameter.key);
}

/** As `fsconfigCreate`, but a failure is the negative error number. */
export function tryFsconfigCreate(fd: number): number {
  const k = kernel();
  return k.call(k.numbers.fsconfig, fd, FSCONFIG_CMD_CREATE);
}

/** Makes the filesystem from the parameters set. */
export function fsconfigCreate(fd: number): void {
  check(tryFsconfigCreate(fd), "fsconfig");
}

/** As `fspick`, but a failure is the negative error number. */
export function tryFspick(dirfd: number, path: PathLike, flags: number): number {
  const k = kernel();
  const address = k.path(path, FIRST_PATH);
  return address < 0 ? address : k.call(k.numbers.fspick, dirfd, address, flags);
}

/** A descriptor to change the filesystem with that is mounted at `path`, the root of a mount. */
export function fspick(dirfd: number, path: PathLike, flags: number): number {
  return check(tryFspick(dirfd, path, flags), "fspick", path);
}

/** As `fsconfigReconfigure`, but a failure is the negative error number. */
export function tryFsconfigReconfigure(fd: number): number {
  const k = kernel();
  return k.call(k.numbers.fsconfig, fd, FSCONFIG_CMD_RECONFIGURE);
}

/** Puts the parameters set into force for a filesystem that is mounted already. */
export function fsconfigReconfigure(fd: number): void {
  check(tryFsconfigReconfigure(fd), "fsconfig");
}

/** As `fsmount`, but a failure is the negative error number. */
export function tryFsmount(fd: number, flags: number, attributes: number): number {
  const k = kernel();
  return k.call(k.numbers.fsmount, fd, flags, attributes);
}

/** A mount, not attached yet, of a filesystem made. Until its descriptor is closed, unmounting fails with EBUSY. */
export function fsmount(fd: number, flags: number, attributes: number): number {
  return check(tryFsmount(fd, flags, attributes), "fsmount");
}

/** As `moveMount`, but a failure is the negative error number. */
export function tryMoveMount(
  fromfd: number,
  fromPath: PathLike,
  tofd: number,
  toPath: PathLike,
  flags: number,
): number {
  const k = kernel();
  const from = k.path(fromPath, FIRST_PATH);
  const to = k.path(toPath, SECOND_PATH);
  return from < 0 ? from : to < 0 ? to : k.call(k.numbers.moveMount, fromfd, from, tofd, to, flags);
}

/** Attaches a mount, or moves one; `flags` are MOVE_MOUNT_ constants. */
export function moveMount(fromfd: number, fromPath: PathLike, tofd: number, toPath: PathLike, flags: number): void {
  check(tryMoveMount(fromfd, fromPath, tofd, toPath, flags), "move_mount", fromPath, toPath);
}

/** As `openTree`, but a failure is the negative error number. */
export function tryOpenTree(dirfd: number, path: PathLike, flags: number): number {
  const k = kernel();
  const address = k.path(path, FIRST_PATH);
  return address < 0 ? address : k.call(k.numbers.openTree, dirfd, address, flags >>> 0);
}

/** A handle of a mount, or with OPEN_TREE_CLONE of a detached copy of it; AT_RECURSIVE takes what is mounted below too. */
export function openTree(dirfd: number, path: PathLike, flags: number): number {
  return check(tryOpenTree(dirfd, path, flags), "open_tree", path);
}

/** As `mountSetattr`, but a failure is the negative error number. */
export function tryMountSetattr(dirfd: number, path: PathLike, flags: number, attributes: MountAttributes): number {
  const k = kernel();
  const address = k.path(path, FIRST_PATH);
  if (address < 0) return address;
  const fields = [attributes.set, attributes.clear, attributes.propagation, attributes.userns];
  for (const [index, field] of fields.entries()) k.view.setBigUint64(FIELDS + index * 8, BigInt(field ?? 0), true);
  return k.call(k.numbers.mountSetattr, dirfd, address, flags, k.at(FIELDS), 32);
}

/** Changes attributes of a mount; AT_RECURSIVE of all mounts below it, all or none. */
export function mountSetattr(dirfd: number, path: PathLike, flags: number, attributes: MountAttributes): void {
  check(tryMountSetattr(dirfd, path, flags, attributes), "mount_setattr", path);
}
