import { readBlob } from "@varve/content";
import type { BlobInfo, ContentStore } from "@varve/content";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { createLimiter } from "@varve/locks";
import { BoundedMap } from "./bounded-map.ts";
import { manifestIn } from "./manifest-facts.ts";
import type { ManifestFacts, Reference } from "./manifest-facts.ts";

export interface StoredManifest {
  readonly bytes: Uint8Array;
  readonly facts: ManifestFacts;
}

/** References that are remembered, over all manifests. */
const maxRemembered = 200_000;
/** Manifests that are read at the same time: each is in memory, whole. */
const maxReads = 16;
/** Bytes of memory for what was read last, so that what everybody asks for is read and parsed once. */
const maxRecent = 64 * 1024 * 1024;

/** Reads what the store has as manifests. */
export class StoredManifests {
  readonly maxSize: number;
  readonly #content: ContentStore;
  readonly #reads = createLimiter(maxReads);
  // A manifest never changes.
  readonly #recent = new BoundedMap<StoredManifest>(maxRecent);
  readonly #references = new BoundedMap<readonly Reference[]>(maxRemembered);

  constructor(content: ContentStore, maxSize: number) {
    this.#content = content;
    this.maxSize = maxSize;
  }

  /** What is known of a blob, whatever it is; `undefined`: the store does not have it. */
  async info(digest: Digest, signal: AbortSignal): Promise<BlobInfo | undefined> {
    try {
      return await this.#content.info(digest, { signal });
    } catch (error) {
      if (hasCode(error, "ERR_NOT_FOUND")) return undefined;
      throw error;
    }
  }

  /** `undefined`: it is not there, or it is no manifest; a blob that is no manifest must not be served as one. */
  async read(digest: Digest, signal: AbortSignal): Promise<StoredManifest | undefined> {
    try {
      const { size } = await this.#content.info(digest, { signal });
      if (size > this.maxSize) return undefined;
      return this.#recent.get(digest) ?? (await this.#reads.run(() => this.#load(digest, size, signal), { signal }));
    } catch (error) {
      if (hasCode(error, "ERR_NOT_FOUND")) return undefined;
      throw error;
    }
  }

  async #load(digest: Digest, size: number, signal: AbortSignal): Promise<StoredManifest | undefined> {
    // Who waited for a place may have waited for this one.
    const recent = this.#recent.get(digest);
    if (recent !== undefined) return recent;
    const descriptor = { mediaType: "application/octet-stream", digest, size };
    const bytes = await readBlob(this.#content, descriptor, { limit: this.maxSize, signal });
    const facts = manifestIn(bytes);
    if (facts === undefined) return undefined;
    const manifest = { bytes, facts };
    // Much of a manifest is there twice, as bytes and as what was read of them.
    this.#recent.set(digest, manifest, 2048 + 4 * size);
    return manifest;
  }

  /** What a manifest names; nothing if it is not there. */
  async references(digest: Digest, signal: AbortSignal): Promise<readonly Reference[]> {
    const known = this.#references.get(digest);
    if (known !== undefined) return known;
    const stored = await this.read(digest, signal);
    if (stored === undefined) return [];
    const { references } = stored.facts;
    this.#references.set(digest, references, references.length + 1);
    return references;
  }
}
