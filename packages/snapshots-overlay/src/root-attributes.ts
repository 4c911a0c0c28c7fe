import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  close,
  fchmodat,
  fchownat,
  fgetxattr,
  flistxattr,
  fsetxattr,
  openat2,
  statx,
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
        if (!isOverlayOwn(name)) fsetxattr(destination, name, fgetxattr(source, name), 0);
      }
      utimensat(destination, null, { atime, mtime }, 0);
    }),
  );
}

/** What overlayfs notes for itself in an upper directory, true of that directory only. */
function isOverlayOwn(name: Buffer): boolean {
  const text = name.toString("latin1");
  return text.startsWith("trusted.overlay.") || text.startsWith("user.overlay.");
}

function withDirectory<T>(path: string, body: (fd: number) => T): T {
  const fd = openat2(AT_FDCWD, path, { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW });
  try {
    return body(fd);
  } finally {
    close(fd);
  }
}
