import type { Digest } from "@varve/digest";
import { Access } from "./access.ts";
import { blobUnknown, sendStoredBlob } from "./blobs.ts";
import type { Call } from "./call.ts";
import { sendCatalog, sendTags } from "./lists.ts";
import { Manifests } from "./manifests.ts";
import type { MemoryBudget } from "./memory-budget.ts";
import { Mirror } from "./mirror.ts";
import type { MirroredRepository } from "./mirrored-blobs.ts";
import type { RegistryServerOptions } from "./options.ts";
import { ProtocolError } from "./protocol-error.ts";
import { sendReferrers } from "./referrers.ts";
import type { ReferrersOptions } from "./referrers.ts";
import { ReferrersIndex } from "./referrers-index.ts";
import { Repositories } from "./repositories.ts";
import { namesOf, namespaceOf } from "./route.ts";
import type { RepositoryRoute, Route } from "./route.ts";
import { StoredManifests } from "./stored-manifests.ts";
import { createMemoryTagStore } from "./tag-store.ts";
import type { TagStore } from "./tag-store.ts";
import { continueUpload, startUpload } from "./upload-routes.ts";
import { Uploads } from "./uploads.ts";

/** Answers the requests of the API: who may ask, and which part of the server it is for. */
export class Registry {
  readonly #options: RegistryServerOptions;
  readonly #tags: TagStore;
  readonly #access: Access;
  readonly #repositories: Repositories;
  readonly #manifests: Manifests;
  readonly #referrers: ReferrersOptions;
  readonly #uploads: Uploads;
  readonly #mirror: Mirror;

  /** @param signal aborts when the server closes */
  constructor(
    options: RegistryServerOptions & { readonly maxManifestSize: number },
    budget: MemoryBudget,
    signal: AbortSignal,
  ) {
    const { content, tags = createMemoryTagStore(), maxBlobSize = Infinity } = options;
    this.#options = options;
    this.#tags = tags;
    this.#access = new Access(options.authenticate);
    const stored = new StoredManifests(content, options.maxManifestSize);
    const repositories = new Repositories({ content, tags, manifests: stored, isOpen: this.#access.isOpen });
    this.#repositories = repositories;
    const index = new ReferrersIndex(content);
    this.#manifests = new Manifests({ content, tags, manifests: stored, repositories, referrers: index });
    this.#referrers = { index, manifests: stored, repositories, tags };
    const { maxUploads = 1000, uploadIdleTimeout = 3_600_000 } = options;
    this.#uploads = new Uploads({ content, repositories, maxUploads, uploadIdleTimeout, maxBlobSize, signal });
    const tagMaxAge = options.upstreamTagMaxAge ?? 0;
    this.#mirror = new Mirror({
      content,
      tags,
      manifests: this.#manifests,
      stored,
      repositories,
      tagMaxAge,
      maxBlobSize,
      budget,
    });
  }

  /** Drops uploads, and waits for fetches to end. All requests must be over. */
  async close(): Promise<void> {
    await this.#uploads.close();
    await this.#mirror.close();
  }

  /** @throws ProtocolError what the client is told instead of an answer */
  async answer(call: Call, route: Route): Promise<void> {
    const { method } = call;
    const isReading = method === "GET" || method === "HEAD";
    if (route.type === "root" || route.type === "catalog") {
      await this.#access.require(call, undefined, route.type === "root" ? "pull" : "catalog");
      if (!isReading) throw unsupported();
      if (route.type === "root") call.json(200, {});
      else await sendCatalog(call, this.#tags);
      return;
    }
    const named = { ...route, repository: this.#nameOf(route.repository) };
    if (route.type === "upload" || !isReading) return this.#change(call, named);
    if (this.#options.upstream !== undefined) return this.#relay(call, named);
    return this.#read(call, named);
  }

  #nameOf(repository: string): string {
    return this.#tags.nameOf?.(repository) ?? repository;
  }

  async #read(call: Call, route: RepositoryRoute): Promise<void> {
    const names = namesOf(route.repository, call.url).map((name) => this.#nameOf(name));
    const readable = await this.#access.readable(call, [...new Set(names)]);
    switch (route.type) {
      case "tags":
        return sendTags(call, route.repository, await this.#tagsOf(readable));
      case "manifest":
        return this.#manifests.send(call, readable, route.reference);
      case "blob":
        if ((await this.#repositories.find(readable, route.digest, call.signal)) === undefined) throw blobUnknown();
        return sendStoredBlob(call, this.#options.content, route.digest);
      case "referrers":
        return sendReferrers(call, this.#referrers, readable, route.digest);
      default:
        throw unsupported();
    }
  }

  /** Reads from the registry behind this one. */
  async #relay(call: Call, route: RepositoryRoute): Promise<void> {
    const repository = this.#mirrored(call, route.repository);
    await this.#access.require(call, repository.local, "pull");
    switch (route.type) {
      case "tags":
        return sendTags(call, route.repository, await this.#mirror.tags(repository, call.signal));
      case "manifest":
        return this.#mirror.sendManifest(call, repository, route.reference);
      case "blob":
        return this.#mirror.sendBlob(call, repository, route.digest);
      case "referrers":
        return this.#mirror.sendReferrers(call, repository, route.digest);
      default:
        throw unsupported();
    }
  }

  #mirrored(call: Call, repository: string): MirroredRepository {
    const { upstream: choice } = this.#options;
    const ns = namespaceOf(call.url);
    const upstream = typeof choice === "function" ? choice(ns) : choice;
    if (upstream === undefined) throw new ProtocolError("NAME_UNKNOWN", "this is no mirror of that registry");
    const isScoped = typeof choice === "function" && ns !== undefined;
    if (isScoped) call.setHeader("oci-namespace", ns);
    return { upstream, remote: repository, local: isScoped ? `${ns}/${repository}` : repository };
  }

  async #tagsOf(names: readonly string[]): Promise<readonly string[]> {
    for (const name of names) {
      const named = await this.#tags.list(name);
      const tags = named.flatMap(({ tag }) => (tag === undefined ? [] : [tag]));
      if (tags.length > 0) return tags;
    }
    return [];
  }

  async #change(call: Call, route: RepositoryRoute): Promise<void> {
    const { repository } = route;
    const { readOnly, upstream, keepAll } = this.#options;
    const isDeletion = call.method === "DELETE" && route.type !== "upload";
    await this.#access.require(call, repository, isDeletion ? "delete" : "push");
    if (readOnly === true) throw new ProtocolError("UNSUPPORTED", "this registry is read-only");
    if (upstream !== undefined)
      throw new ProtocolError("UNSUPPORTED", "this registry is a mirror: push to its upstream");
    if (this.#tags.isWritable?.(repository) === false) {
      throw new ProtocolError("DENIED", "this repository belongs to another registry: it can only be read");
    }
    if (isDeletion && keepAll === true) throw new ProtocolError("UNSUPPORTED", "this registry deletes nothing");
    const parts = {
      access: this.#access,
      nameOf: (name: string) => this.#nameOf(name),
      repositories: this.#repositories,
      uploads: this.#uploads,
    };
    switch (route.type) {
      case "manifest":
        if (call.method === "PUT") return this.#manifests.receive(call, repository, route.reference);
        if (isDeletion) return this.#manifests.delete(call, repository, route.reference);
        break;
      case "blob":
        if (isDeletion) return this.#deleteBlob(call, repository, route.digest);
        break;
      case "uploads":
        if (call.method === "POST") return startUpload(call, parts, repository);
        break;
      case "upload":
        if (call.method !== "POST") return continueUpload(call, this.#uploads, repository, route.id);
        break;
    }
    throw unsupported();
  }

  /** The bytes stay, as they do when a manifest is deleted. */
  async #deleteBlob(call: Call, repository: string, digest: Digest): Promise<void> {
    if ((await this.#repositories.find([repository], digest, call.signal)) === undefined) throw blobUnknown();
    if (await this.#repositories.needs(repository, digest, undefined, call.signal)) {
      throw new ProtocolError("UNSUPPORTED", "a tag of this repository stands for something that needs the blob");
    }
    await this.#repositories.remove(repository, digest, call.signal);
    call.empty(202);
  }
}

function unsupported(): ProtocolError {
  return new ProtocolError("UNSUPPORTED", "the operation is not supported");
}
