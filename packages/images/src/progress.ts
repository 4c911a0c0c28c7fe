import type { Digest } from "@varve/digest";
import type { Descriptor } from "@varve/oci";

/**
 * What a long operation does right now. Bytes are totals so far, not steps; for one blob they never go back
 * except after `retry`. The last event of every blob and every layer is one of the final ones:
 * `fetched`, `exists`, `committed`, or the operation fails.
 */
export type ProgressEvent =
  /** A name was resolved. */
  | { readonly type: "resolved"; readonly name: string; readonly target: Descriptor }
  /** The layers that will be unpacked are known, the lowest first. */
  | { readonly type: "layers"; readonly layers: readonly Descriptor[]; readonly diffIds: readonly Digest[] }
  /** Somebody else holds what is needed. */
  | { readonly type: "waiting"; readonly descriptor: Descriptor; readonly reason: string }
  /** A transfer goes on with bytes that an earlier one left. */
  | { readonly type: "resumed"; readonly descriptor: Descriptor; readonly bytes: number }
  | { readonly type: "fetching"; readonly descriptor: Descriptor; readonly bytes: number }
  /** The blob is stored and verified. */
  | { readonly type: "fetched"; readonly descriptor: Descriptor }
  /** Bytes of the blob (compressed) that went into the snapshot. */
  | { readonly type: "applying"; readonly descriptor: Descriptor; readonly bytes: number }
  /** The layer's snapshot is committed. */
  | { readonly type: "committed"; readonly descriptor: Descriptor; readonly chainId: Digest }
  /** Nothing to do: the blob is stored, or the snapshot is committed. */
  | {
      readonly type: "exists";
      readonly descriptor: Descriptor;
      readonly what: "blob" | "snapshot";
      readonly chainId?: Digest | undefined;
    }
  | { readonly type: "retry"; readonly descriptor: Descriptor; readonly attempt: number; readonly error: unknown };

/** Takes events as they come; it must not throw. */
export type OnProgress = (event: ProgressEvent) => void;
