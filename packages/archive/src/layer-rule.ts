import type { LayerLimits } from "./apply/types.ts";

/** The rules by which a layer is refused; each message ends with the name of its rule, or of a limit, in brackets. */
export type LayerRule =
  /** The archive ends in the middle of something. */
  | "archive-end"
  /** A block of zeros stands between entries. */
  | "end-mark"
  | "header-checksum"
  /** A field of a header is no number, or none that makes sense there. */
  | "header-number"
  /** An extended header comes twice before one entry, or belongs to none. */
  | "header-order"
  /** A record of an extended header is malformed. */
  | "pax-record"
  /** One extended header has a record twice, with two values. */
  | "pax-twice"
  /** A global extended header would change entries; some readers apply it, others do not. */
  | "pax-global"
  /** A long name (GNU) and an extended header (pax) name an entry differently. */
  | "name-twice"
  | "name-nul"
  /** A file's name ends with a slash: some readers see a directory. */
  | "name-slash"
  /** The header and the extended header give different sizes. */
  | "size-twice"
  /** A link, device or fifo has a size: some readers see content where others see entries. */
  | "size-without-content"
  | "sparse-map"
  | "sparse-version"
  | "entry-type"
  /** An owner that no 32-bit id can stand for. */
  | "owner-range"
  | "time-range"
  /** An extended attribute that no file can have. */
  | "xattr"
  | "device-range"
  /** A character device 0:0, which overlayfs takes for a whiteout. */
  | "device-whiteout"
  /** A device that the caller may not make: `devices: "skip"` leaves it out. */
  | "device-permission"
  | "path-above-root"
  /** A path leads through what is no directory. */
  | "path-parent"
  /** A path leads through too many links, or round in a circle. */
  | "path-links"
  /** A name is longer than the filesystem allows. */
  | "name-length"
  | "whiteout-name"
  | "symlink-target"
  | "hardlink-target"
  /** An owner for whom there is no id: `idMappings` or the user namespace has none. */
  | "id-mapping";

/** What a refusal is named after. */
export type RuleOrLimit = LayerRule | keyof LayerLimits;
