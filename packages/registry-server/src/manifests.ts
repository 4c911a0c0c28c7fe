import { labelGcRefContent, writeBlob } from "@varve/content";
import type { ContentStore } from "@varve/content";
import { digestAlgorithm, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { createKeyedLock } from "@varve/locks";
import type { Call } from "./call.ts";
import { etagOf, mustMatch } from "./conditions.ts";
import { readManifest } from "./manifest-facts.ts";
import type { ManifestFacts } from "./manifest-facts.ts";
import { ProtocolError } from "./protocol-error.ts";
import type { ReferrersIndex } from "./referrers-index.ts";
import type { Repositories } from "./repositories.ts";
import { tagIn } from "./route.ts";
import type { ManifestReference } from "./route.ts";
import type { StoredManifest, StoredManifests } from "./stored-manifests.ts";
import type { TagStore } from "./tag-store.ts";

export interface ManifestsOptions {
  readonly content: ContentStore;
  readonly tags: TagStore;
  readonly manifests: StoredManifests;
  readonly repositories: Repositories;
  readonly referrers: ReferrersIndex;
}

const maxTags = 100;

/** Manifests by tag or digest. Their bytes are stored and sent as they came. */
export class Manifests {
  readonly #options: ManifestsOptions;
  /** Changes of one tag, one after the other: what a condition was held against must still be true. */
  readonly #changes = createKeyedLock();

  constructor(options: ManifestsOptions) {
    this.#options = options;
  }

  /** Answers GET and HEAD. A client gets what is there, whatever it says it accepts: other bytes have other digests. */
  async send(call: Call, names: readonly string[], reference: ManifestReference): Promise<void> {
    const digest =
      "digest" in reference
        ? await this.#held(call, names, reference.digest)
        : await this.#tagged(names, reference.tag);
    const stored = await this.#options.manifests.read(digest, call.signal);
    if (stored === undefined) throw manifestUnknown();
    sendManifest(call, digest, stored);
  }

  async receive(call: Call, repository: string, reference: ManifestReference): Promise<void> {
    const { manifests, repositories } = this.#options;
    const tags = [...new Set([...("tag" in reference ? [reference.tag] : []), ...extraTags(call)])];
    const bytes = await call.bodyAtMost(manifests.maxSize);
    const facts = readManifest(bytes);
    const { mediaType, subject } = facts;
    const contentType = call.header("content-type")?.split(";")[0]?.trim();
    if (contentType !== undefined && contentType !== mediaType) {
      throw new ProtocolError("MANIFEST_INVALID", "manifest: its mediaType is not the Content-Type");
    }
    const digest = digestOf(bytes, "digest" in reference ? digestAlgorithm(reference.digest) : "sha256");
    if ("digest" in reference && reference.digest !== digest) {
      throw new ProtocolError("DIGEST_INVALID", "the manifest has another digest");
    }
    for (const child of facts.references) {
      if ((await repositories.adopt(repository, child, call.signal)) || !child.isRequired) continue;
      throw new ProtocolError("MANIFEST_BLOB_UNKNOWN", `manifest: ${child.digest} is not here; push it first`);
    }
    await this.store(repository, digest, { bytes, facts }, call.signal);
    for (const tag of tags) {
      await this.#changes.run(`${repository}:${tag}`, async () => {
        if ("tag" in reference) mustMatch(call, await this.#etagOf(repository, tag));
        await this.#options.tags.put(repository, tag, { mediaType, digest, size: bytes.byteLength });
      });
    }
    call.empty(201, {
      location: `/v2/${repository}/manifests/${digest}`,
      "docker-content-digest": digest,
      ...(call.url.searchParams.has("tag") && { "oci-tag": tags.join(", ") }),
      ...(subject !== undefined && { "oci-subject": subject }),
    });
  }

  /** Puts a manifest that has its digest into a repository, with labels by which a store that collects keeps what it names. */
  async store(repository: string, digest: Digest, manifest: StoredManifest, signal: AbortSignal): Promise<void> {
    const { content, repositories, referrers } = this.#options;
    const { bytes, facts } = manifest;
    await writeBlob(content, `upload-manifest-${digest}`, bytes, {
      expected: { digest, size: bytes.byteLength },
      labels: { ...this.#labels(facts), ...repositories.labelsFor(repository) },
      signal,
    });
    await repositories.add(repository, digest, signal);
    if (facts.subject !== undefined) referrers.add(facts.subject, digest);
  }

  /**
   * Takes a tag away; by digest, a manifest and the tags that stand for it. The bytes stay: other repositories, or other
   * users of the store, may need them.
   */
  async delete(call: Call, repository: string, reference: ManifestReference): Promise<void> {
    const { tags, repositories } = this.#options;
    if ("tag" in reference) {
      if (!(await tags.delete(repository, reference.tag))) throw manifestUnknown();
      call.empty(202);
      return;
    }
    const { digest } = reference;
    if ((await repositories.find([repository], digest, call.signal)) === undefined) throw manifestUnknown();
    if ((await this.#options.manifests.read(digest, call.signal)) === undefined) throw manifestUnknown();
    if (await repositories.needs(repository, digest, digest, call.signal)) {
      throw new ProtocolError("UNSUPPORTED", "a tag of this repository stands for an index that names this manifest");
    }
    for (const { tag, target } of await tags.list(repository)) {
      if (tag !== undefined && target.digest === digest) await tags.delete(repository, tag);
    }
    await repositories.remove(repository, digest, call.signal);
    call.empty(202);
  }

  async #held(call: Call, names: readonly string[], digest: Digest): Promise<Digest> {
    if ((await this.#options.repositories.find(names, digest, call.signal)) === undefined) throw manifestUnknown();
    return digest;
  }

  async #tagged(names: readonly string[], tag: string): Promise<Digest> {
    for (const name of names) {
      const target = await this.#options.tags.get(name, tag);
      if (target !== undefined) return target.digest;
    }
    throw manifestUnknown();
  }

  async #etagOf(repository: string, tag: string): Promise<string | undefined> {
    const target = await this.#options.tags.get(repository, tag);
    return target === undefined ? undefined : etagOf(target.digest);
  }

  #labels({ references, subject }: ManifestFacts): Record<string, string> {
    const labels: Record<string, string> = {};
    for (const [index, { digest }] of references.entries()) labels[`${labelGcRefContent}.${index}`] = digest;
    return subject === undefined ? labels : { ...labels, ...this.#options.referrers.labelsFor(subject) };
  }
}

export function sendManifest(call: Call, digest: Digest, { bytes, facts }: StoredManifest): void {
  const etag = etagOf(digest);
  const headers = { "docker-content-digest": digest, etag };
  if (call.isUnchanged(etag, headers)) return;
  call.bytes(200, bytes, { ...headers, "content-type": facts.mediaType });
}

function extraTags(call: Call): string[] {
  const tags = call.url.searchParams.getAll("tag").map((tag) => tagIn(tag));
  if (tags.length > maxTags) throw new ProtocolError("MANIFEST_INVALID", `more than ${maxTags} tags`);
  return tags;
}

export function manifestUnknown(): ProtocolError {
  return new ProtocolError("MANIFEST_UNKNOWN", "manifest unknown");
}
