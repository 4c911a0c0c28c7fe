import type { Digest } from "@varve/digest";
import type { Descriptor } from "@varve/oci";

/** For whom or what something waits: a place among those who work, another owner of the same work, the layer below. */
export type WaitCause = "place" | "other" | "below";

/**
 * What a long operation does right now.
 *
 * There are two kinds of objects: blobs, and layers that are unpacked. Of two layers with one digest the blob is the same,
 * and the layers differ by chain ID: an event with a `chainId` is about a layer, one without about a blob. An object goes
 * through phases:
 *
 * - resolve: until `resolved`.
 * - download: from the first `fetching`, which comes when the transfer has its place, to `fetched`.
 * - verify: of a blob from `fetching` with all its bytes to `fetched`, of a layer from `applying` with all of them to
 *   `applied`. What was read so far is verified by then; this is the rest, and that it lasts.
 * - extract: from the first `applying` to `applied`.
 * - commit: from `applied`, or `committed` of the layer below if that is later, to `committed`.
 *
 * Bytes are totals so far, not steps, and never more than the descriptor's size; for one object they never go back except
 * after its `retry`. Those up to `resumed` were there before, those beyond it came now: a transfer that starts, also after
 * a `retry`, starts from nothing unless `resumed` says more.
 *
 * When the operation succeeds, the last event of every object is a final one: `fetched`, `exists` or `pushed` for a blob,
 * `committed` or `exists` for a layer; a blob that nobody needs any more, because its layer came from elsewhere meanwhile, may
 * have ended with `waiting`. When it fails, whatever has no final event was not finished, and none follows.
 */
export type ProgressEvent =
  /** A name was resolved. */
  | { readonly type: "resolved"; readonly name: string; readonly target: Descriptor }
  /** The layers that will be unpacked are known, the lowest first. */
  | { readonly type: "layers"; readonly layers: readonly Descriptor[]; readonly diffIds: readonly Digest[] }
  /** It cannot go on by itself; it goes on with any other event. */
  | {
      readonly type: "waiting";
      readonly descriptor: Descriptor;
      readonly chainId?: Digest | undefined;
      /** Default: `other`. */
      readonly for?: WaitCause | undefined;
      /** For people. */
      readonly reason: string;
    }
  /** A transfer goes on with bytes that an earlier one left, maybe all of them. */
  | { readonly type: "resumed"; readonly descriptor: Descriptor; readonly bytes: number }
  | { readonly type: "fetching"; readonly descriptor: Descriptor; readonly bytes: number }
  /** The blob is stored and verified. */
  | { readonly type: "fetched"; readonly descriptor: Descriptor }
  /** Bytes of the blob (compressed) that went into the snapshot. */
  | {
      readonly type: "applying";
      readonly descriptor: Descriptor;
      readonly chainId?: Digest | undefined;
      readonly bytes: number;
    }
  /** All of the layer is in its snapshot and verified; it waits until the layer below is committed. */
  | { readonly type: "applied"; readonly descriptor: Descriptor; readonly chainId?: Digest | undefined }
  /** The layer's snapshot is committed. */
  | { readonly type: "committed"; readonly descriptor: Descriptor; readonly chainId: Digest }
  /** Nothing to do: the blob is stored, or the snapshot is committed. */
  | {
      readonly type: "exists";
      readonly descriptor: Descriptor;
      readonly what: "blob" | "snapshot";
      readonly chainId?: Digest | undefined;
    }
  /** Bytes of a blob or manifest that were sent. */
  | { readonly type: "pushing"; readonly descriptor: Descriptor; readonly bytes: number }
  /** The other side has it. */
  | { readonly type: "pushed"; readonly descriptor: Descriptor; readonly how: "exists" | "mounted" | "sent" }
  /** The transfer, or with a `chainId` the unpacking, begins again. */
  | {
      readonly type: "retry";
      readonly descriptor: Descriptor;
      readonly chainId?: Digest | undefined;
      readonly attempt: number;
      readonly error: unknown;
    };

/** Takes events as they come; it must not throw. */
export type OnProgress = (event: ProgressEvent) => void;
