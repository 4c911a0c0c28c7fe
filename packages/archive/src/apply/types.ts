import type { TarEntry } from "../tar/tar-entry.ts";
import type { IdMappings } from "./id-mapper.ts";

/**
 * Whose the files are. `keep`: the owner of the entry, as the kernel has it (`chown`). `skip`: the caller; attributes that
 * only root may set are left out. `record`: the caller, and nobody else may read them; owner, mode and kind are recorded in
 * the attribute `user.containers.override_stat`, which containers/storage and fuse-overlayfs understand. Devices and fifos
 * are empty files then. Owners of symbolic links are lost, for the kernel has no such attribute there.
 */
export type Ownership = "keep" | "record" | "skip";

/** How a layer is written. */
export interface LayerWriterOptions {
  /**
   * What the root is. `directory` (default): the merged tree itself; whiteouts remove what lower layers left there.
   * `overlay`: the empty upper directory of an overlay mount; whatever only the lower layers can tell is put into
   * `ApplyResult.questions`, and `settleLayer` must answer it before the tree is right.
   */
  readonly target?: "directory" | "overlay" | undefined;
  /** Default `keep`. */
  readonly ownership?: Ownership | undefined;
  /**
   * With `ownership` `keep`: the owners of entries, of access control lists and of capabilities are mapped from `container`
   * to `host`. An owner that is not mapped is refused. Default: none, ids stay what they are.
   */
  readonly idMappings?: IdMappings | undefined;
  /**
   * `skip`: character and block devices are left out and counted (what they replace is gone). Default `create`: where the
   * caller may not make them, as in a user namespace, the layer is refused.
   */
  readonly devices?: "create" | "skip" | undefined;
  /** Overlay markers in `user.overlay.*`, for mounts with the option `userxattr`. Default false: `trusted.overlay.*`. */
  readonly userxattr?: boolean | undefined;
  readonly limits?: Partial<LayerLimits> | undefined;
  /** Answers whether an entry (a whiteout too) is wanted. It is counted in any case. Default: all are. */
  readonly filter?: ((entry: TarEntry) => boolean) | undefined;
  /** What messages begin with: `layer sha256:…`. Default `layer`. */
  readonly subject?: string | undefined;
}

/** Limits of one layer; what goes beyond one is refused with its name. */
export interface LayerLimits {
  /** Entries of a layer. Default 10,000,000. */
  readonly entries: number;
  /** Sum of the sizes of all files, holes counted, in bytes. Default 1 TiB. */
  readonly bytes: number;
  /** Length of an entry's name or link target, in bytes. Default 65,536. */
  readonly pathBytes: number;
  /** Names in a path, after the links in it are followed. Default 4,096. */
  readonly depth: number;
  /** Directories the layer names or implies; each takes about 400 bytes of memory. Default 250,000. */
  readonly directories: number;
  /** With target `directory`: files that the layer puts beside those of lower layers, which must be told apart. Default 500,000. */
  readonly mergedFiles: number;
  /** One extended header (pax) or long name (GNU), in bytes. Default 1 MiB, as in Go. */
  readonly headerBytes: number;
  /** Extended attributes of one entry. Default 1,024. */
  readonly xattrs: number;
}

/** What was written, and what is still to be asked. */
export interface ApplyResult {
  /** Entries of the archive, whiteouts included. */
  readonly entries: number;
  /** Sum of the sizes that the entries' headers give. */
  readonly bytes: number;
  readonly skipped: SkipCounts;
  /** Only with target `overlay`. */
  readonly questions: LowerQuestions | undefined;
}

/** What was left out, on purpose or because the filesystem cannot hold it. */
export interface SkipCounts {
  /** Attributes the filesystem does not support, or that a layer may not set (`trusted.*`, overlay's own). */
  readonly xattrs: number;
  readonly devices: number;
  /** Owners of symbolic links, with ownership `record`. */
  readonly owners: number;
  /** Entries the filter did not want. */
  readonly filtered: number;
}

/**
 * What a layer that was written without its lower layers must ask them. It is plain data (JSON, structured clone);
 * every path is relative to the root, and a string in which each character stands for one byte of the name (latin1).
 */
export interface LowerQuestions {
  /** Paths that were taken for directories, or for nothing. If the lower layers have a link or a file there, the layer must be applied in place. */
  readonly assumed: readonly string[];
  /** Directories without an entry of their own: attributes come from the lower layers. The root, "", is always one. */
  readonly implied: readonly string[];
  /** Names to hide, if the lower layers have them. */
  readonly whiteouts: readonly string[];
  /** Directories that the layer empties and does not mention otherwise; "" stands for the root. */
  readonly opaque: readonly string[];
  /** Hard links to files that are not in the layer, in the order of the archive. */
  readonly links: readonly LowerLink[];
  /** Why the layer must be applied in place, whatever the answers are. */
  readonly redo: string | undefined;
}

/** A hard link to a file of the lower layers. */
export interface LowerLink {
  readonly path: string;
  readonly target: string;
  /** Where its entry is in the archive, in bytes. */
  readonly offset: number;
  /** Whether the link is still there when the layer is complete; if not, only its target must exist. */
  readonly stays: boolean;
  /** Whether the target still shows when the layer is complete, or is hidden or replaced by it. */
  readonly shows: boolean;
}

/** Whether the upper directory is right now. */
export type SettleResult =
  | { readonly redo: false }
  /** The layer cannot be told apart from its lower layers: empty the upper directory and apply the layer in place, through the mount. */
  | { readonly redo: true; readonly reason: string };

/** Writes one layer; everything happens in the calling thread, synchronously. */
export interface LayerWriter {
  /**
   * Takes the next bytes of the uncompressed archive. Bytes after its end are ignored.
   *
   * @throws ERR_INVALID_DATA the archive is malformed, or an entry is hostile
   * @throws ERR_RESOURCE_EXHAUSTED a limit was reached
   * @throws ERR_NOT_IMPLEMENTED an entry of a kind that cannot be written faithfully
   */
  write(block: Uint8Array): void;
  /** Ends the archive: sets times and attributes of directories and closes everything. Throws as `write` does. */
  end(): ApplyResult;
  /** Closes everything and leaves the tree as it is. Idempotent; needed unless `end` returned. */
  abort(): void;
}
