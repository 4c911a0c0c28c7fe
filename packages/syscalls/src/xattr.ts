import { CodedError } from "@varve/errors";
import { BULK, BULK_BYTES, FIRST_PATH, kernel, SECOND_PATH } from "./kernel.ts";
import type { Kernel } from "./kernel.ts";
import type { PathLike } from "./path-like.ts";
import type { SyscallNumbers } from "./numbers.ts";
import { check, checkValue } from "./syscall-error.ts";

/** A file for the attribute calls: a path with or without following a last link, or a descriptor (not O_PATH). */
type Operation = "set" | "get" | "list" | "remove";
type Variant = "" | "l" | "f";

/** As `setxattr`, but a failure is the negative error number. */
export function trySetxattr(path: PathLike, name: PathLike, value: Uint8Array, flags: number): number {
  return set("", path, name, value, flags);
}

/** Sets an extended attribute; `flags` are XATTR_ constants or 0. Follows links. */
export function setxattr(path: PathLike, name: PathLike, value: Uint8Array, flags: number): void {
  check(trySetxattr(path, name, value, flags), "setxattr", path, name);
}

/** As `lsetxattr`, but a failure is the negative error number. */
export function tryLsetxattr(path: PathLike, name: PathLike, value: Uint8Array, flags: number): number {
  return set("l", path, name, value, flags);
}

/** As `setxattr`, on a link itself. Links inside the path are followed: see `lsetxattrat`. */
export function lsetxattr(path: PathLike, name: PathLike, value: Uint8Array, flags: number): void {
  check(tryLsetxattr(path, name, value, flags), "lsetxattr", path, name);
}

/** As `fsetxattr`, but a failure is the negative error number. */
export function tryFsetxattr(fd: number, name: PathLike, value: Uint8Array, flags: number): number {
  return set("f", fd, name, value, flags);
}

/** As `setxattr`, on an open file. */
export function fsetxattr(fd: number, name: PathLike, value: Uint8Array, flags: number): void {
  check(tryFsetxattr(fd, name, value, flags), "fsetxattr", name);
}

/** As `lsetxattrat`, but a failure is the negative error number. */
export function tryLsetxattrat(
  dirfd: number,
  entry: PathLike,
  name: PathLike,
  value: Uint8Array,
  flags: number,
): number {
  return set(entry.length === 0 ? "" : "l", entryPath(dirfd, entry), name, value, flags);
}

/**
 * Sets an attribute of one name in the directory `dirfd`, never following it; an empty name means `dirfd` itself,
 * which may be O_PATH and may be a link. Goes through `/proc`.
 */
export function lsetxattrat(dirfd: number, entry: PathLike, name: PathLike, value: Uint8Array, flags: number): void {
  check(tryLsetxattrat(dirfd, entry, name, value, flags), "lsetxattrat", entry, name);
}

/** As `lgetxattr`, but a failure is the negative error number; an absent attribute is -ENODATA. */
export function tryLgetxattr(path: PathLike, name: PathLike): Buffer | number {
  return get("l", path, name);
}

/** The value of an attribute, links themselves. */
export function lgetxattr(path: PathLike, name: PathLike): Buffer {
  return checkValue(tryLgetxattr(path, name), "lgetxattr", path, name);
}

/** As `fgetxattr`, but a failure is the negative error number; an absent attribute is -ENODATA. */
export function tryFgetxattr(fd: number, name: PathLike): Buffer | number {
  return get("f", fd, name);
}

/** The value of an attribute of an open file. */
export function fgetxattr(fd: number, name: PathLike): Buffer {
  return checkValue(tryFgetxattr(fd, name), "fgetxattr", name);
}

/** As `lgetxattrat`, but a failure is the negative error number; an absent attribute is -ENODATA. */
export function tryLgetxattrat(dirfd: number, entry: PathLike, name: PathLike): Buffer | number {
  return get(entry.length === 0 ? "" : "l", entryPath(dirfd, entry), name);
}

/** The value of an attribute of one name in a directory, as `lsetxattrat` finds it. */
export function lgetxattrat(dirfd: number, entry: PathLike, name: PathLike): Buffer {
  return checkValue(tryLgetxattrat(dirfd, entry, name), "lgetxattrat", entry, name);
}

/** As `llistxattr`, but a failure is the negative error number. */
export function tryLlistxattr(path: PathLike): readonly Buffer[] | number {
  return list("l", path);
}

/** The names of all attributes, links themselves. */
export function llistxattr(path: PathLike): readonly Buffer[] {
  return checkValue(tryLlistxattr(path), "llistxattr", path);
}

/** As `flistxattr`, but a failure is the negative error number. */
export function tryFlistxattr(fd: number): readonly Buffer[] | number {
  return list("f", fd);
}

/** The names of all attributes of an open file. */
export function flistxattr(fd: number): readonly Buffer[] {
  return checkValue(tryFlistxattr(fd), "flistxattr");
}

/** As `llistxattrat`, but a failure is the negative error number. */
export function tryLlistxattrat(dirfd: number, entry: PathLike): readonly Buffer[] | number {
  return list(entry.length === 0 ? "" : "l", entryPath(dirfd, entry));
}

/** The names of all attributes of one name in a directory, as `lsetxattrat` finds it. */
export function llistxattrat(dirfd: number, entry: PathLike): readonly Buffer[] {
  return checkValue(tryLlistxattrat(dirfd, entry), "llistxattrat", entry);
}

/** As `lremovexattr`, but a failure is the negative error number. */
export function tryLremovexattr(path: PathLike, name: PathLike): number {
  return remove("l", path, name);
}

/** Removes an attribute, links themselves. */
export function lremovexattr(path: PathLike, name: PathLike): void {
  check(tryLremovexattr(path, name), "lremovexattr", path, name);
}

/** As `fremovexattr`, but a failure is the negative error number. */
export function tryFremovexattr(fd: number, name: PathLike): number {
  return remove("f", fd, name);
}

/** Removes an attribute of an open file. */
export function fremovexattr(fd: number, name: PathLike): void {
  check(tryFremovexattr(fd, name), "fremovexattr", name);
}

/** As `lremovexattrat`, but a failure is the negative error number. */
export function tryLremovexattrat(dirfd: number, entry: PathLike, name: PathLike): number {
  return remove(entry.length === 0 ? "" : "l", entryPath(dirfd, entry), name);
}

/** Removes an attribute of one name in a directory, as `lsetxattrat` finds it. */
export function lremovexattrat(dirfd: number, entry: PathLike, name: PathLike): void {
  check(tryLremovexattrat(dirfd, entry, name), "lremovexattrat", entry, name);
}

function set(variant: Variant, file: PathLike | number, name: PathLike, data: Uint8Array, flags: number): number {
  const k = kernel();
  const at = subject(k, file);
  if (typeof file !== "number" && at < 0) return at;
  const key = k.path(name, SECOND_PATH);
  if (key < 0) return key;
  const address = k.data(data, BULK, BULK_BYTES);
  return address < 0 ? address : k.call(number(k, variant, "set"), at, key, address, data.length, flags);
}

function get(variant: Variant, file: PathLike | number, name: PathLike): Buffer | number {
  const k = kernel();
  const at = subject(k, file);
  if (typeof file !== "number" && at < 0) return at;
  const key = k.path(name, SECOND_PATH);
  if (key < 0) return key;
  const length = k.call(number(k, variant, "get"), at, key, k.at(BULK), BULK_BYTES);
  return length < 0 ? length : Buffer.from(k.bytes.subarray(BULK, BULK + length));
}

function list(variant: Variant, file: PathLike | number): readonly Buffer[] | number {
  const k = kernel();
  const at = subject(k, file);
  if (typeof file !== "number" && at < 0) return at;
  const length = k.call(number(k, variant, "list"), at, k.at(BULK), BULK_BYTES);
  if (length < 0) return length;
  const names: Buffer[] = [];
  for (let start = BULK; start < BULK + length;) {
    const end = k.bytes.indexOf(0, start);
    names.push(Buffer.from(k.bytes.subarray(start, end)));
    start = end + 1;
  }
  return names;
}

function remove(variant: Variant, file: PathLike | number, name: PathLike): number {
  const k = kernel();
  const at = subject(k, file);
  if (typeof file !== "number" && at < 0) return at;
  const key = k.path(name, SECOND_PATH);
  return key < 0 ? key : k.call(number(k, variant, "remove"), at, key);
}

function subject(k: Kernel, file: PathLike | number): number {
  return typeof file === "number" ? file : k.path(file, FIRST_PATH);
}

function number(k: Kernel, variant: Variant, operation: Operation): number {
  const name: keyof SyscallNumbers = `${variant}${operation}xattr`;
  return k.numbers[name];
}

// The kernel has calls of this kind from 6.13 only. The link in /proc leads to the directory itself and not to its
// name, so nobody can put another in its place.
function entryPath(dirfd: number, entry: PathLike): PathLike {
  const prefix = `/proc/self/fd/${dirfd}`;
  if (entry.length === 0) return prefix;
  const name = typeof entry === "string" ? Buffer.from(entry) : entry;
  if (name.includes(0x2f)) {
    // Any link on the way would be followed.
    throw new CodedError("ERR_INVALID_ARGUMENT", "extended attribute: entry is a path, not one name");
  }
  return Buffer.concat([Buffer.from(`${prefix}/`), name]);
}
