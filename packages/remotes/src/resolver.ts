import type { CallOptions } from "@varve/content";
import type { Descriptor } from "@varve/oci";

export interface FetchOptions extends CallOptions {
  /** The first byte wanted. Default: 0. */
  readonly offset?: number | undefined;
  /**
   * A chunk is of use only until the next one is asked for, so its memory can be given back at once: for consumers that copy.
   * Default: false, a chunk belongs to the consumer.
   */
  readonly reuse?: boolean | undefined;
}

/** Gets blobs and manifests of one repository. */
export interface Fetcher {
  /**
   * Yields the bytes of `descriptor` from `offset` on. A transfer that breaks off is continued, also where the other side
   * ignores ranges. The bytes are not verified. Breaking out of the iteration ends the request.
   *
   * @throws ERR_NOT_FOUND the repository has no such thing
   * @throws ERR_DIGEST_MISMATCH the other side has another number of bytes
   * @throws ERR_INVALID_DATA it answers with other bytes than it was asked for
   * @throws ERR_UNAUTHENTICATED, ERR_PERMISSION_DENIED
   * @throws ERR_RATE_LIMITED, ERR_NETWORK after all retries
   */
  fetch(descriptor: Descriptor, options?: FetchOptions): AsyncIterable<Uint8Array>;
}

export interface PushOptions extends CallOptions {
  /** Gives the bytes from `offset` on, each time it is called: an upload that breaks off is continued, or begun again. */
  readonly body: (offset: number) => AsyncIterable<Uint8Array>;
  /** For manifests: the tags to put it under. Default: none, it is put under its digest. */
  readonly tags?: readonly string[] | undefined;
  /** For blobs: other repositories of this registry that may have it, the likeliest first. It need not be sent then. */
  readonly mountFrom?: readonly string[] | undefined;
}

/** What it took for the other side to have something: nothing, a mount from another repository, or its bytes. */
export type PushOutcome = "exists" | "mounted" | "sent";

/** Puts blobs and manifests into one repository. */
export interface Pusher {
  /**
   * Uploads what `descriptor` describes, unless it is there. A manifest is there if every tag stands for it. A manifest with a
   * subject is found by `referrers` afterwards, whatever the registry can do.
   *
   * @throws ERR_DIGEST_MISMATCH the bytes are not those of the descriptor, or the other side stored something else
   * @throws ERR_FAILED_PRECONDITION a tag may not be moved
   * @throws ERR_RESOURCE_EXHAUSTED it is larger than the other side takes
   * @throws ERR_UNAUTHENTICATED, ERR_PERMISSION_DENIED
   * @throws ERR_RATE_LIMITED, ERR_NETWORK after all retries
   */
  push(descriptor: Descriptor, options: PushOptions): Promise<PushOutcome>;
}

/** What a name stands for at this moment. */
export interface Resolved {
  /** The normalised reference. */
  readonly name: string;
  readonly descriptor: Descriptor;
}

/** Turns names into descriptors, and gives access to what they describe. */
export interface Resolver {
  /**
   * Asks what a name stands for. A digest in the name decides; the registry's answer is held against it.
   *
   * @throws ERR_INVALID_ARGUMENT not a reference
   * @throws ERR_NOT_FOUND the registry does not know the name, or does not tell this caller
   */
  resolve(reference: string, options?: CallOptions): Promise<Resolved>;
  /** A fetcher for the repository of `reference`; asks nothing yet. */
  fetcher(reference: string): Fetcher;
  /** A pusher for the repository of `reference`; asks nothing yet. */
  pusher(reference: string): Pusher;
  /** Closes connections. Closing twice is allowed. */
  close(): Promise<void>;
}
