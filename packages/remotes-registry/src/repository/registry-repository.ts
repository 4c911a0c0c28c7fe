import type { CallOptions } from "@varve/content";
import { isDigest, parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import type { ReferrersOptions, Repository, TagsOptions } from "@varve/remotes";
import type { Registry } from "../hosts/registry.ts";
import type { Settings } from "../options.ts";
import { describeBlob } from "./describe-blob.ts";
import { deleteFrom, forgetReferrer, belongingOf } from "./deletion.ts";
import type { RepositoryPlace } from "./referrers-api.ts";
import { ReferrersList } from "./referrers-list.ts";
import { tagList } from "./tag-list.ts";
import { isTag } from "./tag.ts";

/** What one repository of a registry holds. */
export class RegistryRepository implements Repository {
  readonly #registry: Registry;
  readonly #repository: string;
  readonly #settings: Settings;

  constructor(registry: Registry, repository: string, settings: Settings) {
    this.#registry = registry;
    this.#repository = repository;
    this.#settings = settings;
  }

  tags(options: TagsOptions = {}): AsyncIterable<string> {
    return tagList(this.#place(options), options);
  }

  async blob(digest: Digest, options: CallOptions = {}): Promise<Descriptor> {
    options.signal?.throwIfAborted();
    return describeBlob(this.#place(options), parseDigest(digest));
  }

  referrers(subject: Digest, options: ReferrersOptions = {}): AsyncIterable<Descriptor> {
    return new ReferrersList(this.#place(options), parseDigest(subject), options.artifactType).run();
  }

  async deleteManifest(reference: string, options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    if (!reference.includes(":") && !isTag(reference)) {
      const text = `${JSON.stringify(reference.slice(0, 140))}: neither a tag nor a digest`;
      throw new CodedError("ERR_INVALID_ARGUMENT", text);
    }
    const name = reference.includes(":") ? parseDigest(reference) : reference;
    const place = this.#place(options);
    const belongs = isDigest(name) ? await belongingOf(place, name) : undefined;
    await deleteFrom(place, `manifests/${name}`);
    if (isDigest(name) && belongs !== undefined) await forgetReferrer(place, belongs, name);
  }

  async deleteBlob(digest: Digest, options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    await deleteFrom(this.#place(options), `blobs/${parseDigest(digest)}`);
  }

  #place({ signal }: CallOptions): RepositoryPlace {
    return { registry: this.#registry, repository: this.#repository, settings: this.#settings, signal };
  }
}
