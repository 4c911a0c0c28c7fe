import type { LayerLimits, LayerWriterOptions } from "@varve/archive";
import type { DecoderLimits } from "@varve/compression";
import type { Ingester, Provider } from "@varve/content";
import type { Mounter } from "@varve/mount";

/** What one layer may cost: its entries, and its uncompressed stream. What goes beyond a limit is refused with the limit's name. */
export type DifferLimits = Partial<LayerLimits> & DecoderLimits;

export interface DifferOptions {
  /** A `Provider` is where layers are read from when `apply` is given no source; an `Ingester` is where `compare` stores them. */
  readonly content?: Ingester | Provider | undefined;
  /** Needed for mounts that are neither one directory nor one overlay, and for overlays with several layers below. */
  readonly mounter?: Mounter | undefined;
  /** Where it mounts for the time of a layer; made when it is needed. Default: the system's directory for temporary files. */
  readonly mountDirectory?: string | undefined;
  /**
   * Layers worked on at a time, each by two or three threads of its own. Absent: all differs of the process share threads, in
   * turn, for one layer less than there are processors, at least one and at most four.
   */
  readonly concurrency?: number | undefined;
  /**
   * `keep` gives files the owners and devices of the layer, which takes root; `skip` leaves both out; `record` writes them down
   * in an attribute of the file, and takes them from there when trees are compared. Default: `keep` for root, `skip` for others.
   */
  readonly ownership?: LayerWriterOptions["ownership"];
  /** How the owners that layers name become those of this system. Default: they are the same. */
  readonly idMappings?: LayerWriterOptions["idMappings"];
  /**
   * Of each layer. Defaults: those of `@varve/archive`, a `maxBytes` of 1 TiB, a `maxRatio` of 1,100, and a `maxWindow` of 32 MiB, which
   * refuses frames made by `zstd --long` or levels above 20.
   */
  readonly limits?: DifferLimits | undefined;
  /** `system` (default): a faster decoder of the system's where there is one. `node`: that of `node:zlib` in any case. */
  readonly decoders?: "node" | "system" | undefined;
}
