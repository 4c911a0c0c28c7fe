import type { CallOptions } from "@varve/content";
import type { Descriptor } from "@varve/oci";

export interface FetchOptions extends CallOptions {
  /** The first byte wanted. Default: 0. */
  readonly offset?: number | undefined;
}

/** Gets blobs and manifests of one repository. */
export interface Fetcher {
  /**
   * Yields the bytes of `descriptor` from `offset` on. A transfer that breaks off is continued, also where the other side
   * ignores ranges. The bytes are not verified. Breaking out of the iteration ends the request.
   *
   * @throws ERR_NOT_FOUND the repository has no such thing
   * @throws ERR_UNAUTHENTICATED, ERR_PERMISSION_DENIED
   * @throws ERR_RATE_LIMITED, ERR_NETWORK after all retries
   */
  fetch(descriptor: Descriptor, options?: FetchOptions): AsyncIterable<Uint8Array>;
}

export interface PushOptions extends CallOptions {
  /** Gives the bytes, from the first on, each time it is called: an upload that fails is begun again. */
  readonly body: () => AsyncIterable<Uint8Array>;
  /** For manifests: the tag or digest to put it under. Default: its digest. */
  readonly reference?: string | undefined;
}

/** Puts blobs and manifests into one repository. */
export interface Pusher {
  /**
   * Uploads what `descriptor` describes, unless it is there.
   *
   * @returns whether bytes were sent
   * @throws ERR_DIGEST_MISMATCH the other side stored something else
   */
  push(descriptor: Descriptor, options: PushOptions): Promise<boolean>;
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
