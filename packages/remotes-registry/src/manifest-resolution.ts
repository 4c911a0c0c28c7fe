import { digestAlgorithm, digestOf, isDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { bareMediaType } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { readAtMost } from "./body.ts";
import { isTelling, manifestAccept, refuseSchema1, typeOfManifest } from "./manifest-types.ts";
import type { Settings } from "./options.ts";
import { printable } from "./printable.ts";
import type { RegistryHost, RegistryRequest } from "./registry-host.ts";
import type { Reply } from "./reply.ts";
import { repositoryScope } from "./scopes.ts";

/** What is to be resolved. A digest decides over a tag. */
export interface Wanted {
  /** The whole reference, for messages. */
  readonly name: string;
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

/** Asks a registry what a tag or digest stands for. */
export class ManifestResolution {
  readonly #host: RegistryHost;
  readonly #settings: Settings;
  readonly #wanted: Wanted;
  readonly #signal: AbortSignal | undefined;

  constructor(host: RegistryHost, settings: Settings, wanted: Wanted, signal: AbortSignal | undefined) {
    this.#host = host;
    this.#settings = settings;
    this.#wanted = wanted;
    this.#signal = signal;
  }

  /** By HEAD, which costs registries little and does not count against limits (T1); by GET where that is not enough. */
  async run(): Promise<Descriptor> {
    const { digest } = this.#wanted;
    const request = this.#request("HEAD", "manifests");
    const reply = await this.#host.send(request);
    switch (reply.status) {
      case 200: {
        await reply.discard();
        return this.#fromHead(reply) ?? this.#byGet();
      }
      // Some do not know HEAD; and only an answer to GET has a body that tells why we may not (M3, U-RES.6).
      case 403:
      case 405:
        await reply.discard();
        return this.#byGet();
      case 404:
        if (digest === undefined) throw await this.#notFound(reply, request);
        await reply.discard();
        return this.#blob(digest);
      default:
        throw await this.#host.failure(reply, request);
    }
  }

  #fromHead(reply: Reply): Descriptor | undefined {
    const told = reply.header("docker-content-digest");
    const size = reply.contentLength();
    const mediaType = bareMediaType(reply.header("content-type") ?? "");
    refuseSchema1(mediaType, this.#subject());
    if (size === undefined || size === 0 || !isDigest(told) || !isTelling(mediaType)) return undefined;
    this.#mustBeSmall(size);
    this.#mustBeAsked(told);
    return { mediaType, digest: told, size };
  }

  async #byGet(): Promise<Descriptor> {
    const request = this.#request("GET", "manifests");
    const reply = await this.#host.send(request);
    if (reply.status === 404) throw await this.#notFound(reply, request);
    if (reply.status !== 200) throw await this.#host.failure(reply, request);
    const bytes = await readAtMost(reply, this.#settings.maxManifestSize);
    const told = reply.header("docker-content-digest");
    const named = this.#wanted.digest ?? (isDigest(told) ? told : undefined);
    const digest = digestOf(bytes, named === undefined ? "sha256" : digestAlgorithm(named));
    if (named !== undefined) this.#mustEqual(digest, named);
    const mediaType = typeOfManifest(bareMediaType(reply.header("content-type") ?? ""), bytes, this.#subject());
    return { mediaType, digest, size: bytes.byteLength };
  }

  /** A digest that is no manifest's may be a blob's. Asked only when the registry said that it has no such manifest (M8). */
  async #blob(digest: Digest): Promise<Descriptor> {
    const request = this.#request("HEAD", "blobs");
    const reply = await this.#host.send(request);
    if (reply.status === 404) throw await this.#notFound(reply, request);
    if (reply.status !== 200) throw await this.#host.failure(reply, request);
    await reply.discard();
    const size = reply.contentLength();
    if (size === undefined) throw new CodedError("ERR_INVALID_DATA", `${this.#subject()}: the registry tells no size`);
    return { mediaType: "application/octet-stream", digest, size };
  }

  #request(method: "GET" | "HEAD", kind: "manifests" | "blobs"): RegistryRequest {
    const { digest, repository, tag } = this.#wanted;
    return {
      method,
      target: `/v2/${repository}/${kind}/${digest ?? tag ?? "latest"}`,
      access: { repository, scopes: [repositoryScope(repository, "pull")] },
      headers: { accept: kind === "manifests" ? manifestAccept : "*/*" },
      signal: this.#signal,
    };
  }

  async #notFound(reply: Reply, request: RegistryRequest): Promise<CodedError> {
    const cause = await this.#host.failure(reply, request);
    return new CodedError("ERR_NOT_FOUND", `${this.#subject()}: not found: ${cause.message}`, { cause });
  }

  #mustBeAsked(told: Digest): void {
    const { digest } = this.#wanted;
    // Another algorithm may name the same bytes; the fetch is verified anyway.
    if (digest !== undefined && digestAlgorithm(digest) === digestAlgorithm(told)) this.#mustEqual(told, digest);
  }

  #mustEqual(actual: Digest, expected: Digest): void {
    if (actual === expected) return;
    const text = `${this.#subject()}: the registry answered with ${actual}, expected ${expected}`;
    throw new CodedError("ERR_DIGEST_MISMATCH", text);
  }

  #mustBeSmall(size: number): void {
    const limit = this.#settings.maxManifestSize;
    if (size <= limit) return;
    throw new CodedError("ERR_RESOURCE_EXHAUSTED", `${this.#subject()}: ${size} bytes are over the limit of ${limit}`);
  }

  #subject(): string {
    return `image ${printable(this.#wanted.name)}`;
  }
}
