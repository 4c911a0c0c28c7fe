import {
  ENOSYS,
  EXDEV,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
} from "./constants.ts";
import { FIRST_PATH, kernel } from "./kernel.ts";
import type { PathLike } from "./path-like.ts";

/**
 * Does what openat2 would where a kernel before 5.6 or a sandbox has none: name by name, each opened from the directory
 * before it and never through a link. Only for opening that resolves nothing (`resolve` 0), or neither links nor `..`
 * (RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS); anything else stays ENOSYS.
 */
export function openatWalk(dirfd: number, path: PathLike, flags: number, mode: number, resolve: number): number {
  if (resolve === 0) return openat(dirfd, path, flags, mode);
  const confined = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  if ((resolve & confined) !== confined) return -ENOSYS;
  const names = split(path);
  const last = names.pop();
  if (last === undefined) return -EXDEV;
  let fd = dirfd;
  try {
    for (const name of names) {
      const next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
      closeUnless(fd, dirfd);
      fd = next;
      if (fd < 0) return fd;
    }
    return openat(fd, last, flags | O_NOFOLLOW, mode);
  } finally {
    if (fd >= 0) closeUnless(fd, dirfd);
  }
}

function openat(dirfd: number, path: PathLike, flags: number, mode: number): number {
  const k = kernel();
  const address = k.path(path, FIRST_PATH);
  return address < 0 ? address : k.call(k.numbers.openat, dirfd, address, flags | O_CLOEXEC, mode);
}

function closeUnless(fd: number, kept: number): void {
  const k = kernel();
  if (fd !== kept) k.call(k.numbers.close, fd);
}

/** The names of a relative path; none if it starts at the root, goes up, or is empty. */
function split(path: PathLike): Uint8Array[] {
  const bytes = Buffer.from(path);
  const names: Uint8Array[] = [];
  if (bytes[0] === 0x2f) return [];
  for (let at = 0; at < bytes.length;) {
    const slash = bytes.indexOf(0x2f, at);
    const end = slash < 0 ? bytes.length : slash;
    const name = bytes.subarray(at, end);
    if (name.equals(Buffer.from(".."))) return [];
    if (name.length > 0) names.push(name);
    at = end + 1;
  }
  return names;
}
