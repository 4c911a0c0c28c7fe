import type { CallOptions } from "@varve/content";
import { CodedError } from "@varve/errors";
import type { Handler, OnProgress } from "@varve/images";
import type { Descriptor } from "@varve/oci";
import { FetchedManifests } from "./fetched-manifests.ts";
import type { Repository } from "./repository.ts";
import type { Fetcher, Pusher } from "./resolver.ts";
import { addCounts, collect, sendImage } from "./send-image.ts";
import type { PushCounts, SendImageOptions } from "./send-image.ts";

export interface CopySource {
  readonly fetcher: Fetcher;
  /** What is copied, as `resolve` gave it. */
  readonly target: Descriptor;
  /** Names the referrers; needed if they go along. */
  readonly repository?: Repository | undefined;
}

export interface CopyDestination {
  readonly pusher: Pusher;
  /** What to put the target under. Default: none, it is put under its digest. */
  readonly tags?: readonly string[] | undefined;
}

export interface CopyImageOptions extends CallOptions {
  /**
   * Wraps the handler that names everything below a descriptor, to leave something out: some platforms of an index, say. The
   * index stays as it is, and not every registry takes one that names what it does not have.
   */
  readonly children?: ((all: Handler) => Handler) | undefined;
  /** Whether what names a copied manifest as its subject (signatures, SBOMs) goes along. Default: false. */
  readonly referrers?: boolean | undefined;
  /** Whether layers that registries may not hold (foreign layers) are sent as well. Default: false. */
  readonly nonDistributable?: boolean | undefined;
  /** Other repositories of the destination's registry that may have the blobs, the likeliest first. Default: none. */
  readonly mountFrom?: readonly string[] | undefined;
  /** Blobs copied at the same time. Default: 3. */
  readonly concurrency?: number | undefined;
  /** Told as by `pushImage`. It must not throw. */
  readonly onProgress?: OnProgress | undefined;
}

// A lying registry must not keep us busy for ever.
const maxReferrers = 10_000;

/**
 * Copies an image from registry to registry. Nothing is stored here: manifests are held in memory, verified, until they are
 * sent; blobs go through as they come, and are continued on both sides. What the destination has is not even fetched.
 *
 * @throws ERR_INVALID_ARGUMENT referrers are wanted, and there is no `repository` to ask
 * @throws ERR_RESOURCE_EXHAUSTED manifests are too large, or there are too many referrers
 * @throws what the fetcher and the pusher throw
 */
export async function copyImage(
  from: CopySource,
  to: CopyDestination,
  options: CopyImageOptions = {},
): Promise<PushCounts> {
  const { referrers = false, signal } = options;
  signal?.throwIfAborted();
  if (referrers && from.repository === undefined) {
    throw new CodedError(
      "ERR_INVALID_ARGUMENT",
      "copy: referrers are copied only from a repository that can list them",
    );
  }
  const copy = new Copy(from, to.pusher, options);
  const { target } = from;
  let counts = await copy.tree(target, to.tags);
  if (!referrers || from.repository === undefined) return counts;
  for await (const descriptor of copy.referrers(from.repository)) {
    counts = addCounts(counts, await copy.tree(descriptor, undefined));
  }
  return counts;
}

class Copy {
  readonly #fetcher: Fetcher;
  readonly #pusher: Pusher;
  readonly #options: CopyImageOptions;
  readonly #manifests: FetchedManifests;
  /** Manifests that were copied, in order; grows while referrers are found. */
  readonly #copied: Descriptor[] = [];

  constructor({ fetcher }: CopySource, pusher: Pusher, options: CopyImageOptions) {
    this.#fetcher = fetcher;
    this.#pusher = pusher;
    this.#options = options;
    this.#manifests = new FetchedManifests(fetcher);
  }

  async tree(target: Descriptor, tags: readonly string[] | undefined): Promise<PushCounts> {
    const { children = (all) => all, concurrency, mountFrom, nonDistributable, onProgress, signal } = this.#options;
    const all: Handler = (descriptor, context) => this.#manifests.children(descriptor, context.signal);
    const collected = await collect(target, children(all), { signal });
    const send: SendImageOptions = {
      bytes: (descriptor, offset, own) => this.#bytes(descriptor, offset, own),
      concurrency,
      mountFrom: mountFrom && (async () => mountFrom),
      nonDistributable,
      onProgress,
      pusher: this.#pusher,
      signal,
      tags,
    };
    const counts = await sendImage(target, collected, send);
    this.#copied.push(...collected.manifests);
    this.#manifests.forget();
    return counts;
  }

  /** Everything that refers to what was copied, and what refers to that; each is to be copied before the next is asked for. */
  async *referrers(repository: Repository): AsyncGenerator<Descriptor, void, undefined> {
    const { signal } = this.#options;
    const known = new Set(this.#copied.map(({ digest }) => digest));
    let found = 0;
    // Not by an iterator of a fixed list: what is yielded adds to it.
    for (let at = 0; at < this.#copied.length; at += 1) {
      const subject = this.#copied[at];
      if (subject === undefined) return;
      for await (const descriptor of repository.referrers(subject.digest, { signal })) {
        if (known.has(descriptor.digest)) continue;
        known.add(descriptor.digest);
        found += 1;
        if (found > maxReferrers) {
          const text = `copy: more than ${maxReferrers} manifests refer to what is copied`;
          throw new CodedError("ERR_RESOURCE_EXHAUSTED", text);
        }
        // A list may be wrong; the manifest itself says what it belongs to.
        if ((await this.#manifests.subject(descriptor, signal)) === subject.digest) yield descriptor;
      }
    }
  }

  #bytes(descriptor: Descriptor, offset: number, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#manifests.bytes(descriptor, offset) ?? this.#fetcher.fetch(descriptor, { offset, signal });
  }
}
