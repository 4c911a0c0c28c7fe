import { constants as fs } from "node:fs";
import { constants as os } from "node:os";

// The kernel's own names and values, so each means what its manual page says; notes where that surprises.

// The O_ values that differ between architectures come from Node, which knows its own.
export const O_RDONLY: number = fs.O_RDONLY;
export const O_WRONLY: number = fs.O_WRONLY;
export const O_RDWR: number = fs.O_RDWR;
export const O_CREAT: number = fs.O_CREAT;
export const O_EXCL: number = fs.O_EXCL;
export const O_TRUNC: number = fs.O_TRUNC;
export const O_APPEND: number = fs.O_APPEND;
export const O_NONBLOCK: number = fs.O_NONBLOCK;
export const O_DIRECTORY: number = fs.O_DIRECTORY;
export const O_NOFOLLOW: number = fs.O_NOFOLLOW;
export const O_CLOEXEC = 0o2_000_000;
/** A handle of the place only: no permission on the file is needed, and nothing can be read. */
export const O_PATH = 0o10_000_000;
/** An unnamed file in the directory given; `linkat` names it. */
export const O_TMPFILE: number = 0o20_000_000 | fs.O_DIRECTORY;

/** The current directory, in place of a directory descriptor. */
export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
/** For `unlinkat`: remove a directory, as rmdir does. */
export const AT_REMOVEDIR = 0x200;
export const AT_SYMLINK_FOLLOW = 0x400;
/** An empty path means the descriptor itself. */
export const AT_EMPTY_PATH = 0x1000;
export const AT_RECURSIVE = 0x8000;

/** Do not leave the mount of the directory descriptor. */
export const RESOLVE_NO_XDEV = 0x01;
export const RESOLVE_NO_MAGICLINKS = 0x02;
/** Links in any component are an error (ELOOP). */
export const RESOLVE_NO_SYMLINKS = 0x04;
/** Leaving the tree of the directory descriptor is an error (EXDEV). */
export const RESOLVE_BENEATH = 0x08;
/** The directory descriptor is the root for `..` and absolute links, as after chroot. */
export const RESOLVE_IN_ROOT = 0x10;

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
/** Leaves a whiteout at the old name. */
export const RENAME_WHITEOUT = 4;

export const S_IFMT = 0o170_000;
export const S_IFSOCK = 0o140_000;
export const S_IFLNK = 0o120_000;
export const S_IFREG = 0o100_000;
export const S_IFBLK = 0o060_000;
export const S_IFDIR = 0o040_000;
export const S_IFCHR = 0o020_000;
export const S_IFIFO = 0o010_000;

/** As `nanoseconds`: the time of the call. */
export const UTIME_NOW = 0x3f_ff_ff_ff;
/** As `nanoseconds`: leave this time alone. */
export const UTIME_OMIT = 0x3f_ff_ff_fe;

/** For `lseek`: the next data, or the next hole, at or after the offset. */
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;

export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;

export const MS_RDONLY = 0x1;
export const MS_NOSUID = 0x2;
export const MS_NODEV = 0x4;
export const MS_NOEXEC = 0x8;
export const MS_SYNCHRONOUS = 0x10;
export const MS_REMOUNT = 0x20;
export const MS_DIRSYNC = 0x80;
export const MS_NOATIME = 0x400;
export const MS_NODIRATIME = 0x800;
export const MS_BIND = 0x1000;
export const MS_MOVE = 0x2000;
export const MS_REC = 0x4000;
export const MS_SILENT = 0x8000;
export const MS_UNBINDABLE = 0x2_0000;
export const MS_PRIVATE = 0x4_0000;
export const MS_SLAVE = 0x8_0000;
export const MS_SHARED = 0x10_0000;
export const MS_RELATIME = 0x20_0000;
export const MS_STRICTATIME = 0x100_0000;

export const MNT_FORCE = 1;
/** Out of sight now, gone when its last user is. */
export const MNT_DETACH = 2;
export const UMOUNT_NOFOLLOW = 8;

export const MOUNT_ATTR_RDONLY = 0x1;
export const MOUNT_ATTR_NOSUID = 0x2;
export const MOUNT_ATTR_NODEV = 0x4;
export const MOUNT_ATTR_NOEXEC = 0x8;
/** The bits that hold one of the three kinds of access times; clear them all to change the kind. */
export const MOUNT_ATTR__ATIME = 0x70;
export const MOUNT_ATTR_RELATIME = 0;
export const MOUNT_ATTR_NOATIME = 0x10;
export const MOUNT_ATTR_STRICTATIME = 0x20;
export const MOUNT_ATTR_NODIRATIME = 0x80;
export const MOUNT_ATTR_IDMAP = 0x10_0000;
export const MOUNT_ATTR_NOSYMFOLLOW = 0x20_0000;

export const FSOPEN_CLOEXEC = 1;
export const FSMOUNT_CLOEXEC = 1;
export const FSPICK_CLOEXEC = 1;
/** The descriptor itself is the root of the mount. */
export const FSPICK_EMPTY_PATH = 8;
/** A copy of the mount (with AT_RECURSIVE of the tree of mounts) that is not attached anywhere yet. */
export const OPEN_TREE_CLONE = 1;
export const OPEN_TREE_CLOEXEC: number = O_CLOEXEC;
export const MOVE_MOUNT_F_EMPTY_PATH = 0x4;
export const MOVE_MOUNT_T_SYMLINKS = 0x10;
export const MOVE_MOUNT_T_EMPTY_PATH = 0x40;

export const CLONE_FS = 0x200;
export const CLONE_NEWNS = 0x2_0000;
export const CLONE_NEWUSER = 0x1000_0000;

export const LOCK_SH = 1;
export const LOCK_EX = 2;
/** Fail with EAGAIN and do not wait. */
export const LOCK_NB = 4;
export const LOCK_UN = 8;

export const SYNC_FILE_RANGE_WAIT_BEFORE = 1;
export const SYNC_FILE_RANGE_WRITE = 2;
export const SYNC_FILE_RANGE_WAIT_AFTER = 4;

// Error numbers are the same on every architecture that is supported.
export const EPERM: number = os.errno.EPERM;
export const ENOENT: number = os.errno.ENOENT;
export const EINTR: number = os.errno.EINTR;
export const EIO: number = os.errno.EIO;
export const EBADF: number = os.errno.EBADF;
export const EAGAIN: number = os.errno.EAGAIN;
export const EACCES: number = os.errno.EACCES;
export const EBUSY: number = os.errno.EBUSY;
export const EEXIST: number = os.errno.EEXIST;
export const EXDEV: number = os.errno.EXDEV;
export const ENXIO: number = os.errno.ENXIO;
export const ENODEV: number = os.errno.ENODEV;
export const ENOTDIR: number = os.errno.ENOTDIR;
export const EISDIR: number = os.errno.EISDIR;
export const EINVAL: number = os.errno.EINVAL;
export const ENOSPC: number = os.errno.ENOSPC;
export const EMLINK: number = os.errno.EMLINK;
export const ERANGE: number = os.errno.ERANGE;
export const ENAMETOOLONG: number = os.errno.ENAMETOOLONG;
export const ENOSYS: number = os.errno.ENOSYS;
export const ENOTEMPTY: number = os.errno.ENOTEMPTY;
export const ELOOP: number = os.errno.ELOOP;
export const ENODATA: number = os.errno.ENODATA;
export const EOPNOTSUPP: number = os.errno.EOPNOTSUPP;
export const EDQUOT: number = os.errno.EDQUOT;
export const ENOTTY: number = os.errno.ENOTTY;
export const ETXTBSY: number = os.errno.ETXTBSY;
export const EROFS: number = os.errno.EROFS;
