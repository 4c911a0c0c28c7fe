import type { LayerWriterOptions, LowerQuestions, PackSummary, SkipCounts, SplitSummary, Trees } from "@varve/archive";
import type { DecoderLimits } from "@varve/compression";
import type { Digest } from "@varve/digest";
import type { SharedRing } from "./block-ring.ts";
import type { SplitTarget } from "./split-recorder.ts";

/** Decompresses one stream from ring to ring. */
export interface DecodeJob {
  readonly kind: "decode";
  readonly input: SharedRing;
  readonly output: SharedRing;
  readonly limits: DecoderLimits;
  readonly decoders: "node" | "system";
  /** Hash what comes out as well, in the same thread. */
  readonly hash?: Omit<HashJob, "input" | "kind"> | undefined;
}

/** Hashes the stream in a ring, as its second consumer. */
export interface HashJob {
  readonly kind: "hash";
  readonly input: SharedRing;
  /** Records the archive for tar-split meanwhile. */
  readonly split?: SplitTarget | undefined;
}

/** A stream to its very end: the diff ID of an uncompressed layer. */
export interface Hashed {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** What was recorded, if that was wanted. */
  readonly split?: SplitSummary | undefined;
}

/** Applies the uncompressed stream in a ring to a directory. */
export interface ApplyJob {
  readonly kind: "apply";
  readonly input: SharedRing;
  readonly root: string;
  readonly options: LayerWriterOptions;
}

/** Answers what a layer asked of the layers below it. */
export interface SettleJob {
  readonly kind: "settle";
  readonly upper: string;
  readonly lower: string;
  readonly questions: LowerQuestions;
  readonly options: LayerWriterOptions;
}

/** Removes all that is in a directory. */
export interface EmptyJob {
  readonly kind: "empty";
  readonly directory: string;
}

/** What was written. */
export interface Written {
  /** Entries of the archive, whiteouts included. */
  readonly entries: number;
  readonly skipped: SkipCounts;
  readonly questions: LowerQuestions | undefined;
}

/** What one applied stream came to. */
export interface Applied extends Hashed, Written {}

/** Whether the tree is settled; if not, the layer must be applied again through a mount. */
export interface Settled {
  readonly redo: boolean;
}

/** Writes what differs between two trees as an archive into a ring. */
export interface PackJob {
  readonly kind: "pack";
  readonly output: SharedRing;
  readonly trees: Trees;
  readonly sourceDateEpoch: number | undefined;
}

/** What one archive came to. */
export interface Packed extends Hashed, PackSummary {}

/** Writes what differs between two trees as a list into a ring, as `encodeChange` does. */
export interface ChangesJob {
  readonly kind: "changes";
  readonly output: SharedRing;
  readonly trees: Trees;
}
