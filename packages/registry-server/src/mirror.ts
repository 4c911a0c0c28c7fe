import { digestAlgorithm, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { createSingleFlight } from "@varve/locks";
import type { Descriptor } from "@varve/oci";
import { BoundedMap } from "./bounded-map.ts";
import type { Call } from "./call.ts";
import { manifestIn } from "./manifest-facts.ts";
import { manifestUnknown, sendManifest } from "./manifests.ts";
import type { Manifests } from "./manifests.ts";
import type { MemoryBudget } from "./memory-budget.ts";
import { MirroredBlobs } from "./mirrored-blobs.ts";
import type { MirroredBlobsOptions, MirroredRepository } from "./mirrored-blobs.ts";
import { ProtocolError } from "./protocol-error.ts";
import { sendIndex } from "./referrers.ts";
import type { ManifestReference } from "./route.ts";
import type { StoredManifest, StoredManifests } from "./stored-manifests.ts";
import type { TagStore, TagTarget } from "./tag-store.ts";
import { asked, isGone, upstreamFailure } from "./upstream-failure.ts";

export interface MirrorOptions extends MirroredBlobsOptions {
  readonly tags: TagStore;
  readonly manifests: Manifests;
  readonly stored: StoredManifests;
  readonly budget: MemoryBudget;
  /** Milliseconds for which a tag is not asked for again. */
  readonly tagMaxAge: number;
}

/** Of a list, as JSON. */
const maxListedBytes = 8 * 1024 * 1024;

/** Serves what another registry has, and keeps it. */
export class Mirror {
  readonly #options: MirrorOptions;
  readonly #blobs: MirroredBlobs;
  readonly #manifests = createSingleFlight<string, StoredManifest>();
  /** When tags were last asked for. */
  readonly #askedAt = new BoundedMap<number>(100_000);

  constructor(options: MirrorOptions) {
    this.#options = options;
    this.#blobs = new MirroredBlobs(options);
  }

  async sendManifest(call: Call, repository: MirroredRepository, reference: ManifestReference): Promise<void> {
    const { signal } = call;
    if ("digest" in reference) {
      const { digest } = reference;
      sendManifest(call, digest, await this.#manifest(repository, digest, signal));
      return;
    }
    const target = await this.#tagged(repository, reference.tag, signal);
    sendManifest(call, target.digest, await this.#manifest(repository, target.digest, signal));
  }

  sendBlob(call: Call, repository: MirroredRepository, digest: Digest): Promise<void> {
    return this.#blobs.send(call, repository, digest);
  }

  /** The tags that the upstream lists; those that are kept, if it cannot be reached. */
  async tags({ upstream, remote, local }: MirroredRepository, signal: AbortSignal): Promise<readonly string[]> {
    try {
      return await collected(upstream.tags(remote, { signal }));
    } catch (error) {
      signal.throwIfAborted();
      if (isGone(error)) return [];
      const kept = await this.#options.tags.list(local);
      if (kept.length === 0) throw upstreamFailure(error);
      return kept.flatMap(({ tag }) => (tag === undefined ? [] : [tag]));
    }
  }

  async sendReferrers(call: Call, { upstream, remote }: MirroredRepository, subject: Digest): Promise<void> {
    const { signal } = call;
    const all = await asked(() => collected(upstream.referrers(remote, subject, { signal })), signal);
    const artifactType = call.url.searchParams.get("artifactType") ?? "";
    const shown = artifactType === "" ? all : all.filter((one) => one.artifactType === artifactType);
    sendIndex(call, shown, artifactType === "" ? {} : { "oci-filters-applied": "artifactType" });
  }

  /** Waits until nothing is fetched any more. Whoever asked must have gone. */
  async close(): Promise<void> {
    await this.#blobs.close();
  }

  /** What a tag stands for now; what it stood for when last asked, if the upstream cannot be reached. */
  async #tagged(repository: MirroredRepository, tag: string, signal: AbortSignal): Promise<TagTarget> {
    const { tags, tagMaxAge } = this.#options;
    const { upstream, remote, local } = repository;
    const key = `${local}:${tag}`;
    const kept = await tags.get(local, tag);
    if (kept !== undefined && Date.now() - (this.#askedAt.get(key) ?? -Infinity) < tagMaxAge) return kept;
    let current: Descriptor | undefined;
    try {
      current = await upstream.resolve(remote, tag, { signal });
    } catch (error) {
      signal.throwIfAborted();
      if (!isGone(error)) {
        if (kept === undefined) throw upstreamFailure(error);
        return kept;
      }
    }
    // What is kept stays: it may be an image that nobody has ever pushed, and whoever reads must not take it away.
    if (current === undefined) throw manifestUnknown();
    const { bytes, facts } = await this.#manifest(repository, current.digest, signal);
    const target = { mediaType: facts.mediaType, digest: current.digest, size: bytes.byteLength };
    if (kept?.digest !== target.digest) await tags.put(local, tag, target);
    this.#askedAt.set(key, Date.now());
    return target;
  }

  async #manifest(repository: MirroredRepository, digest: Digest, signal: AbortSignal): Promise<StoredManifest> {
    const { local } = repository;
    const work = (stop: AbortSignal): Promise<StoredManifest> => this.#fetchManifest(repository, digest, stop);
    const stored = await this.#storedManifest(local, digest, signal);
    return stored ?? this.#manifests.run(`${local}@${digest}`, work, { signal });
  }

  async #storedManifest(local: string, digest: Digest, signal: AbortSignal): Promise<StoredManifest | undefined> {
    const { repositories, stored } = this.#options;
    if ((await repositories.find([local], digest, signal)) === undefined) return undefined;
    const manifest = await stored.read(digest, signal);
    if (manifest === undefined) throw manifestUnknown();
    return manifest;
  }

  async #fetchManifest(repository: MirroredRepository, digest: Digest, signal: AbortSignal): Promise<StoredManifest> {
    const { manifests, stored } = this.#options;
    const { upstream, remote, local } = repository;
    const manifest = await asked(async () => {
      const descriptor = await upstream.manifest(remote, digest, { signal });
      if (descriptor === undefined || descriptor.size > stored.maxSize) return undefined;
      const bytes = await bytesAtMost(
        upstream.fetch(remote, descriptor, { signal }),
        stored.maxSize,
        this.#options.budget,
      );
      if (digestOf(bytes, digestAlgorithm(digest)) !== digest) {
        throw new ProtocolError("UPSTREAM", "the upstream registry gave other bytes than it was asked for");
      }
      const facts = manifestIn(bytes);
      return facts === undefined ? undefined : { bytes, facts };
    }, signal);
    if (manifest === undefined) throw manifestUnknown();
    await manifests.store(local, digest, manifest, signal);
    return manifest;
  }
}

/** A list that is cut off would hide something: what is too long is refused. */
async function collected<T>(source: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = [];
  let bytes = 0;
  for await (const one of source) {
    bytes += Buffer.byteLength(JSON.stringify(one)) + 1;
    if (bytes > maxListedBytes) throw new ProtocolError("UPSTREAM", "the upstream registry's list is too long");
    found.push(one);
  }
  return found;
}

async function bytesAtMost(
  source: AsyncIterable<Uint8Array>,
  limit: number,
  budget: MemoryBudget,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of source) {
      if (size + chunk.byteLength > limit) {
        throw new ProtocolError("UPSTREAM", "the upstream registry gave more bytes than it said");
      }
      budget.take(chunk.byteLength);
      size += chunk.byteLength;
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, size);
  } finally {
    budget.give(size);
  }
}
