import { digestAlgorithm, digestOf, isDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import { sleep } from "@varve/locks";
import { bareMediaType } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { readAtMost } from "../http/body.ts";
import { backoff, isPassing } from "../http/retry.ts";
import { isTelling, manifestAccept, refuseSchema1, typeOfManifest } from "./manifest-types.ts";
import type { Settings } from "../options.ts";
import { printable } from "../http/printable.ts";
import type { Registry } from "../hosts/registry.ts";
import type { RegistryRequest } from "../hosts/registry-request.ts";
import type { Reply } from "../http/reply.ts";

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
  readonly #registry: Registry;
  readonly #settings: Settings;
  readonly #wanted: Wanted;
  readonly #signal: AbortSignal | undefined;
  /** The last answer that promised to be one. */
  #answer: Reply | undefined;
  /** An answer that was of no use. */
  #after: Reply | undefined;

  constructor(registry: Registry, settings: Settings, wanted: Wanted, signal: AbortSignal | undefined) {
    this.#registry = registry;
    this.#settings = settings;
    this.#wanted = wanted;
    this.#signal = signal;
  }

  /** Asks until somebody gives a proper answer: a mirror may be wrong where the registry is right. */
  async run(): Promise<Descriptor> {
    for (let repetitions = 0; ;) {
      try {
        return await this.#once();
      } catch (error) {
        this.#signal?.throwIfAborted();
        const reply = this.#answer;
        const isBroken = isPassing(error);
        if (reply === undefined || !(isBroken || isUnfit(error))) throw error;
        if (this.#registry.isFinal(reply)) {
          if (!isBroken || repetitions >= this.#settings.retries) throw error;
          await sleep(backoff(this.#settings, repetitions), { signal: this.#signal });
          repetitions += 1;
        }
        this.#after = reply;
      }
    }
  }

  /** By HEAD, which costs registries little and does not count against limits (T1); by GET where that is not enough. */
  async #once(): Promise<Descriptor> {
    const { digest } = this.#wanted;
    const request = this.#request("HEAD", "manifests");
    const reply = await this.#send(request);
    const { status } = reply;
    if (status === 200) {
      await reply.discard();
      return this.#fromHead(reply) ?? this.#byGet(this.#request("GET", "manifests"));
    }
    if (status === 404) {
      if (digest === undefined) throw await this.#notFound(reply, request);
      await reply.discard();
      return this.#blob(digest);
    }
    // Some do not know HEAD (M3).
    if (status === 405) {
      await reply.discard();
      return this.#byGet(this.#request("GET", "manifests"));
    }
    const refusal = await this.#registry.failure(reply, request);
    if (status === 401 || status === 429 || status >= 500) throw refusal;
    return this.#unlessSilent(refusal);
  }

  /** Notes who answered, as long as that is not a refusal. */
  async #send(request: RegistryRequest): Promise<Reply> {
    this.#answer = undefined;
    const reply = await this.#registry.send({ ...request, after: this.#after });
    if (reply.status === 200) this.#answer = reply;
    return reply;
  }

  /** Only an answer to GET has a body that tells why (M3, M14, U-RES.6). If there is none, the answer to HEAD must do. */
  async #unlessSilent(refusal: CodedError): Promise<Descriptor> {
    try {
      return await this.#byGet({ ...this.#request("GET", "manifests"), repeatable: false });
    } catch (error) {
      throw hasCode(error, "ERR_NETWORK") || hasCode(error, "ERR_DEADLINE_EXCEEDED") ? refusal : error;
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

  async #byGet(request: RegistryRequest): Promise<Descriptor> {
    const reply = await this.#send(request);
    if (reply.status === 404) throw await this.#notFound(reply, request);
    if (reply.status !== 200) throw await this.#registry.failure(reply, request);
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
    const reply = await this.#send(request);
    if (reply.status === 404) throw await this.#notFound(reply, request);
    if (reply.status !== 200) throw await this.#registry.failure(reply, request);
    await reply.discard();
    const size = reply.contentLength();
    if (size === undefined) throw new CodedError("ERR_INVALID_DATA", `${this.#subject()}: the registry tells no size`);
    return { mediaType: "application/octet-stream", digest, size };
  }

  #request(method: "GET" | "HEAD", kind: "manifests" | "blobs"): RegistryRequest {
    const { digest, repository, tag } = this.#wanted;
    return {
      method,
      repository,
      target: `${kind}/${digest ?? tag ?? "latest"}`,
      // Whoever gives things by digest need not be trusted with what a tag means (T3).
      purpose: digest === undefined ? "resolve" : "pull",
      headers: { accept: kind === "manifests" ? manifestAccept : "*/*" },
      signal: this.#signal,
    };
  }

  async #notFound(reply: Reply, request: RegistryRequest): Promise<CodedError> {
    const cause = await this.#registry.failure(reply, request);
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

/** What is wrong with an answer, and may be right with that of another server. */
function isUnfit(error: unknown): boolean {
  return (
    hasCode(error, "ERR_INVALID_DATA") ||
    hasCode(error, "ERR_DIGEST_MISMATCH") ||
    hasCode(error, "ERR_RESOURCE_EXHAUSTED")
  );
}
