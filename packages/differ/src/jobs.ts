import type { LayerWriterOptions, LowerQuestions } from "@varve/archive";
import type { Digest } from "@varve/digest";
import type { SharedRing } from "./block-ring.ts";

/** Decompresses one stream from ring to ring. */
export interface DecodeJob {
  readonly input: SharedRing;
  readonly output: SharedRing;
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

/** What one applied stream came to. */
export interface Applied {
  /** Of the uncompressed stream to its very end: the diff ID. */
  readonly digest: Digest;
  /** Bytes of the uncompressed stream. */
  readonly size: number;
  readonly questions: LowerQuestions | undefined;
}

/** Whether the tree is settled; if not, the layer must be applied again through a mount. */
export interface Settled {
  readonly redo: boolean;
}
