import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_DIRECTORY,
  O_NOFOLLOW,
  EOPNOTSUPP,
  EPERM,
  O_RDONLY,
  RESOLVE_NO_SYMLINKS,
  SyscallError,
  close,
  fchmodat,
  fchownat,
  fgetxattr,
  flistxattr,
  openat2,
  statx,
  tryFsetxattr,
  utimensat,
} from "@varve/syscalls";

/**
 * Gives the root of an upper directory what the root below it has: an overlay shows the attributes of the topmost
 * directory alone, so without this a layer would hide those that an earlier layer gave to `/` (U-OVL.4).
 */
export function copyRootAttributes(from: string, to: string): void {
  withDirectory(from, (source) =>
    withDirectory(to, (destination) => {
      const { mode, uid, gid, atime, mtime } = statx(source, "", 0);
      fchownat(destination, "", uid, gid, AT_EMPTY_PATH);
      fchmodat(destination, "", mode & 0o7777, AT_EMPTY_PATH);
      for (const name of flistxattr(source)) {
        if (!isOverlayOwn(name)) setAttribute(destination, name, fgetxattr(source, name));
      }
      utimensat(destination, null, { atime, mtime }, 0);
    }),
  );
}

/**
 * What overlayfs notes for itself in an upper directory, true of that directory only; or what a layer planted to look so.
 * Copied, it would make a directory opaque or lead it elsewhere.
 */
function isOverlayOwn(name: Buffer): boolean {
  const text = name.toString("latin1");
  return text.startsWith("trusted.overlay.") || text.startsWith("user.overlay.");
}

function setAttribute(directory: number, name: Buffer, value: Buffer): void {
  const result = tryFsetxattr(directory, name, value, 0);
  if (result >= 0) return;
  // The label of SELinux is the policy's to give, and a directory has one already.
  const refused = result === -EPERM || result === -EOPNOTSUPP;
  if (refused && name.toString("latin1") === "security.selinux") return;
  throw new SyscallError("fsetxattr", result, { path: name });
}

function withDirectory<T>(path: string, body: (fd: number) => T): T {
  // The paths of a store have no links in them, unless somebody puts one there.
  const how = { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve: RESOLVE_NO_SYMLINKS };
  const fd = openat2(AT_FDCWD, path, how);
  try {
    return body(fd);
  } finally {
    close(fd);
  }
}
