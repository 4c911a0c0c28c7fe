import type { Digest } from "@varve/digest";

/**
 * What time goes to: resolving the name, reading manifests and configs, downloading layers, unpacking them, and committing
 * them one on top of the other.
 */
export type TransferPhase = "resolve" | "manifests" | "fetch" | "unpack" | "commit";

/** A phase, or `wait` for a place or for what another process does, or `finish`: what comes after the last layer. */
export type CriticalPhase = TransferPhase | "wait" | "finish";

/** What everything else waited for. */
export interface CriticalStep {
  readonly phase: CriticalPhase;
  /** Of the blob, or of the layer's blob. */
  readonly digest?: Digest | undefined;
  readonly ms: number;
}

/** What a transfer came to. Bytes are those of blobs, as the registry has them; times are whole milliseconds. */
export interface TransferSummary {
  readonly durationMs: number;
  /** How long at least one thing of the kind was under way. They overlap, and add up to nothing in particular. */
  readonly phases: Readonly<Record<TransferPhase, number>>;
  /** What came over the network, manifests and configs included: blobs that are complete, and all bytes. */
  readonly fetched: { readonly blobs: number; readonly bytes: number };
  /** What was there before: blobs, layers that were unpacked, and the bytes that need not be fetched for either. */
  readonly reused: { readonly blobs: number; readonly bytes: number; readonly layers: number };
  readonly unpacked: { readonly layers: number; readonly bytes: number };
  /** What transfers that were broken off earlier had left. */
  readonly resumedBytes: number;
  readonly retries: number;
  /**
   * What the transfer was waiting for at each moment, the earliest first: had one of these steps been shorter, all would have
   * been. The milliseconds add up to `durationMs`.
   */
  readonly criticalPath: readonly CriticalStep[];
}
