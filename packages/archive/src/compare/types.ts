/** Two trees to compare. Both must hold still meanwhile; they are only read, and nothing in them is followed. */
export interface Trees {
  /** The tree with the changes; with form `overlay` the upper directory of an overlay. */
  readonly upper: string;
  /** The tree without them, as a directory. Default: an empty one. */
  readonly lower?: string | undefined;
  /**
   * What `upper` is. `directory` (default): a whole tree, and both trees are walked. `overlay`: an overlay's upper directory, which
   * tells by itself what changed; `lower` is then the tree below it and is only asked about single names.
   */
  readonly form?: "directory" | "overlay" | undefined;
  /** With form `overlay`: markers are in `user.overlay.*`. Default false: `trusted.overlay.*`. */
  readonly userxattr?: boolean | undefined;
  /**
   * `record`: both trees were written with this `ownership`, so owner, mode and kind of a file are what `user.containers.override_stat`
   * says. What has no such attribute belongs to root (links, and whatever the caller made there since). Default `keep`: everything is
   * what it is, and that attribute like any other.
   */
  readonly ownership?: "keep" | "record" | undefined;
  /**
   * Whether two files with the same attributes count as the same without a look at their contents, if the time of both has a
   * fraction of a second (U-TAR.21, as container engines do). Default false: kernels give files that are written within a few
   * milliseconds one time. Form `overlay` always looks.
   */
  readonly trustTimes?: boolean | undefined;
  /**
   * Whether labels of SELinux (`security.selinux`) count, and are written. Default false: the system gives them to files, and an
   * image that is made on one machine would bring them to others.
   */
  readonly selinux?: boolean | undefined;
}

export type ChangeKind = "added" | "deleted" | "modified";

/** One path that differs. An added directory is followed by all that is in it; a deleted one stands for what was in it. */
export interface Change {
  readonly kind: ChangeKind;
  /** From the root, without a slash at the start; empty for the root itself. The bytes of the name. */
  readonly path: Buffer;
}

export interface ListOptions {
  /** Called for each name that is looked at, and while contents are read but not given out; what it throws ends the walk. */
  readonly check?: (() => void) | undefined;
}

export interface PackOptions extends ListOptions {
  /** Seconds since 1970: later times are written as this one (SOURCE_DATE_EPOCH). Whiteouts always have time 0. */
  readonly sourceDateEpoch?: number | undefined;
  /**
   * Whether long runs of zeros are left out of files (the pax format for sparse files of GNU tar, version 1.0). It depends on the
   * content only, not on where a filesystem has holes, but such files are read twice. Default false: they are written. Go's
   * `archive/tar` and others read such files well; but moby's tar-split, from which docker rebuilds a layer to push it, gives
   * other bytes for them, so that the push fails.
   */
  readonly sparse?: boolean | undefined;
  /** Largest block of output, in bytes. Default 256 KiB. */
  readonly blockSize?: number | undefined;
  /** Gives the memory for each block of output; a view of shared memory is fine. Default: one buffer, used again and again. */
  readonly allocate?: (() => Uint8Array) | undefined;
}

/** What was packed. */
export interface PackSummary {
  /** Entries of the archive, whiteouts included. */
  readonly entries: number;
  /** Bytes of the archive. */
  readonly bytes: number;
  readonly skipped: PackSkipCounts;
}

/** What no layer can hold and was left out. */
export interface PackSkipCounts {
  readonly sockets: number;
}
