import { CodedError } from "@varve/errors";
import type { Digest } from "@varve/digest";
import { isIndexType, isManifestType } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { Fetcher, FetchOptions } from "@varve/remotes";
import type { Reply } from "../http/reply.ts";
import type { Settings } from "../options.ts";
import { BlobSource } from "./blob-source.ts";
import type { Origin } from "./blob-source.ts";
import { readInParallel } from "./parallel-ranges.ts";
import { readStretch } from "./stretch.ts";

// An image has hundreds of blobs at most.
const maxRemembered = 256;
const smallestRange = 512;

/** Fetches from one repository. */
export class RepositoryFetcher implements Fetcher {
  readonly #origin: Origin;
  /** Who gave the last bytes of what was asked for lately. */
  readonly #givers: Map<Digest, Reply> = new Map();

  constructor(origin: Origin) {
    this.#origin = origin;
  }

  async *fetch(descriptor: Descriptor, options: FetchOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const { offset = 0, reuse, signal } = options;
    const { registry, settings } = this.#origin;
    signal?.throwIfAborted();
    const { digest, mediaType, size } = descriptor;
    const isManifest = isManifestType(mediaType) || isIndexType(mediaType);
    if (isManifest && size > settings.maxManifestSize) {
      const text = `manifest ${digest}: ${size} bytes are over the limit of ${settings.maxManifestSize}`;
      throw new CodedError("ERR_RESOURCE_EXHAUSTED", text);
    }
    if (offset >= size) return;
    // Who wants all bytes again had no use for those that came: another server may have better ones (N08).
    const source = new BlobSource(this.#origin, descriptor, offset === 0 ? this.#givers.get(digest) : undefined);
    const span = { from: offset, to: size };
    if (isDivided(size - offset, settings)) {
      yield* readInParallel(source, span, { settings, places: registry.transfers, signal });
      this.#remember(source);
      return;
    }
    // Manifests pass by waiting blobs: they are small, and others wait for what they say.
    const release = isManifest ? undefined : await registry.transfers.acquire({ signal });
    try {
      yield* readStretch(source, span, { settings, signal, reuse });
      this.#remember(source);
    } finally {
      release?.();
    }
  }

  #remember({ descriptor, giver }: BlobSource): void {
    if (giver === undefined) return;
    this.#givers.delete(descriptor.digest);
    this.#givers.set(descriptor.digest, giver);
    const [oldest] = this.#givers.keys();
    if (this.#givers.size > maxRemembered && oldest !== undefined) this.#givers.delete(oldest);
  }
}

/** Whether several connections are to share the work. Ranges of a few bytes would be more work than they save. */
function isDivided(bytes: number, { connectionsPerBlob, rangeSize }: Settings): boolean {
  return connectionsPerBlob > 1 && Number.isInteger(rangeSize) && rangeSize >= smallestRange && bytes > rangeSize;
}
