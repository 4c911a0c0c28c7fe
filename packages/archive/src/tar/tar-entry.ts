/** The kinds of entries a layer may have. */
export type TarType = "block" | "char" | "directory" | "fifo" | "file" | "hardlink" | "symlink";

/** A moment, as archives and kernels keep it. */
export interface TarTime {
  /** Since 1970-01-01 UTC; negative before it. */
  readonly seconds: number;
  /** 0 to 999,999,999, counted forward from `seconds`. */
  readonly nanoseconds: number;
}

/** One entry, extended headers applied. Names are the bytes of the archive. */
export interface TarEntry {
  readonly name: Buffer;
  readonly type: TarType;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content; 0 for everything but files. A sparse file's holes are counted. */
  readonly size: number;
  /** Whether the archive leaves out holes of the file. */
  readonly sparse: boolean;
  readonly mtime: TarTime;
  /** Only if an extended header has it. */
  readonly atime: TarTime | undefined;
  /** Target of a hard or symbolic link. */
  readonly linkName: Buffer;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** Values of the `SCHILY.xattr.` records by attribute name (one character a byte). */
  readonly xattrs: ReadonlyMap<string, Buffer>;
  /** Offset of the entry's (first) header in the archive, in bytes. */
  readonly offset: number;
}
