import { blobExists, labelGcRefContent, readBlob, writeBlob } from "@varve/content";
import type { ContentStore } from "@varve/content";
import { digestAlgorithm, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import type { Call } from "./call.ts";
import { readManifest } from "./manifest-facts.ts";
import { ProtocolError } from "./protocol-error.ts";
import { namesOf, tagIn } from "./route.ts";
import type { ManifestReference } from "./route.ts";
import type { TagStore } from "./tag-store.ts";

/** Manifests by tag or digest. Their bytes are stored and sent as they came. */
export class Manifests {
  readonly #content: ContentStore;
  readonly #tags: TagStore;
  readonly #maxSize: number;

  constructor(content: ContentStore, tags: TagStore, maxSize: number) {
    this.#content = content;
    this.#tags = tags;
    this.#maxSize = maxSize;
  }

  async send(call: Call, repository: string, reference: ManifestReference): Promise<void> {
    const digest =
      "digest" in reference ? reference.digest : await this.#tagged(namesOf(repository, call.url), reference.tag);
    const bytes = await this.#read(digest, call.signal);
    call.bytes(200, bytes, {
      "content-type": mediaTypeOf(bytes),
      "docker-content-digest": digest,
      etag: `"${digest}"`,
    });
  }

  async receive(call: Call, repository: string, reference: ManifestReference): Promise<void> {
    const tags = [...new Set([...("tag" in reference ? [reference.tag] : []), ...extraTags(call)])];
    const bytes = await call.bodyAtMost(this.#maxSize);
    const { mediaType, children } = readManifest(bytes);
    const contentType = call.header("content-type")?.split(";")[0]?.trim();
    if (contentType !== undefined && contentType !== mediaType) {
      throw new ProtocolError("MANIFEST_INVALID", "manifest: its mediaType is not the Content-Type");
    }
    const digest = digestOf(bytes, "digest" in reference ? digestAlgorithm(reference.digest) : "sha256");
    if ("digest" in reference && reference.digest !== digest) {
      throw new ProtocolError("DIGEST_INVALID", "the manifest has another digest");
    }
    await this.#mustHave(children, call.signal);
    await writeBlob(this.#content, `upload-manifest-${digest}`, bytes, {
      expected: { digest, size: bytes.byteLength },
      labels: Object.fromEntries(children.map((child, index) => [`${labelGcRefContent}.${index}`, child])),
      signal: call.signal,
    });
    for (const tag of tags) await this.#tags.put(repository, tag, { mediaType, digest, size: bytes.byteLength });
    call.empty(201, {
      location: `/v2/${repository}/manifests/${digest}`,
      "docker-content-digest": digest,
      ...(call.url.searchParams.has("tag") && { "oci-tag": tags.join(", ") }),
    });
  }

  /** Takes a tag away, or all tags of a digest. The manifest itself stays: other users of the store may need it. */
  async delete(call: Call, repository: string, reference: ManifestReference): Promise<void> {
    const tags = "tag" in reference ? [reference.tag] : await this.#tagsOf(repository, reference.digest);
    let deleted = 0;
    for (const tag of tags) if (await this.#tags.delete(repository, tag)) deleted += 1;
    if (deleted === 0) throw unknown();
    call.empty(202);
  }

  async #tagsOf(repository: string, digest: Digest): Promise<string[]> {
    const found: string[] = [];
    for (const tag of await this.#tags.tags(repository)) {
      if ((await this.#tags.get(repository, tag))?.digest === digest) found.push(tag);
    }
    return found;
  }

  async #tagged(names: readonly string[], tag: string): Promise<Digest> {
    for (const name of names) {
      const target = await this.#tags.get(name, tag);
      if (target !== undefined) return target.digest;
    }
    throw unknown();
  }

  async #read(digest: Digest, signal: AbortSignal): Promise<Uint8Array> {
    try {
      const { size } = await this.#content.info(digest, { signal });
      if (size > this.#maxSize) throw unknown();
      const descriptor = { mediaType: "application/octet-stream", digest, size };
      return await readBlob(this.#content, descriptor, { limit: this.#maxSize, signal });
    } catch (error) {
      if (hasCode(error, "ERR_NOT_FOUND")) throw unknown();
      throw error;
    }
  }

  async #mustHave(children: readonly Digest[], signal: AbortSignal): Promise<void> {
    for (const child of children) {
      if (!(await blobExists(this.#content, child, { signal }))) {
        throw new ProtocolError("MANIFEST_BLOB_UNKNOWN", `manifest: ${child} is not here; push it first`);
      }
    }
  }
}

/** A blob that is no manifest is no manifest here either. */
function mediaTypeOf(bytes: Uint8Array): string {
  try {
    return readManifest(bytes).mediaType;
  } catch (error) {
    if (error instanceof ProtocolError) throw unknown();
    throw error;
  }
}

function extraTags(call: Call): string[] {
  return call.url.searchParams.getAll("tag").map((tag) => tagIn(tag));
}

function unknown(): ProtocolError {
  return new ProtocolError("MANIFEST_UNKNOWN", "manifest unknown");
}
