import type { Descriptor } from "@varve/oci";
import type { CallOptions } from "./call-options.ts";

/** A part of a blob: from `start`, inclusive, to `end`, exclusive. Defaults: the whole blob. */
export interface ByteRange {
  readonly start?: number | undefined;
  readonly end?: number | undefined;
}

/** How a stream of bytes is handed out. */
export interface StreamOptions extends CallOptions {
  /**
   * Lets every chunk be the same memory, valid until the next one is asked for: for consumers that copy at once, and for
   * whom an allocation a chunk is too much. Default: false, a chunk belongs to the consumer.
   */
  readonly reuse?: boolean | undefined;
}

/** One open blob. Reads may run at the same time. */
export interface BlobReader extends AsyncDisposable {
  /** Bytes in the blob. */
  readonly size: number;
  /**
   * Fills `target` from `position` and says how many bytes it got: fewer than asked for only at the end of the blob.
   *
   * @throws ERR_INVALID_ARGUMENT `position` is no whole number from 0 on
   * @throws ERR_DATA_LOSS the stored blob is shorter than it should be
   */
  read(target: Uint8Array, position: number, options?: CallOptions): Promise<number>;
  /** Yields the range in order. */
  stream(range?: ByteRange & StreamOptions): AsyncIterable<Uint8Array>;
  /** Closing twice is allowed. Streams under way fail. */
  close(): Promise<void>;
}

/** Gives access to blobs that are whole and verified. */
export interface Provider {
  /**
   * Opens the blob that `descriptor.digest` names; `descriptor.size` is not compared.
   *
   * @throws ERR_NOT_FOUND no such blob
   */
  open(descriptor: Descriptor, options?: CallOptions): Promise<BlobReader>;
}

/** Whether `store` implements `Provider`. */
export function canProvide<T extends object>(store: T): store is T & Provider {
  return "open" in store && typeof store.open === "function";
}
