import { digestAlgorithm, digestOf, isDigest, verifyStream } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import type { PushOptions, PushOutcome } from "@varve/remotes";
import type { RegistryRequest } from "../hosts/registry-host.ts";
import type { Registry } from "../hosts/registry.ts";
import { printable } from "../http/printable.ts";
import type { Reply } from "../http/reply.ts";
import type { Settings } from "../options.ts";
import { isPresent } from "./presence.ts";
import type { Presence } from "./presence.ts";
import { ReferrersIndex } from "./referrers-index.ts";
import { listsReferrers } from "../repository/referrers-api.ts";
import { asReferrer } from "../repository/referrer.ts";

const accepted: ReadonlySet<number> = new Set([200, 201, 202, 204]);
// What says no to several tags in one request, and may not say no to one.
const knowsNoTags: ReadonlySet<number> = new Set([400, 404, 405, 414, 501]);
// ECR, Google, Quay and others have no status of their own for it (P11).
const immutable = /immutab|ImageTagAlreadyExists|tag .{0,200}already exists/i;

export interface ManifestOrder extends Presence {
  readonly body: PushOptions["body"];
  readonly tags: readonly string[];
}

/** One manifest on its way to a registry. */
export class ManifestPush {
  readonly #registry: Registry;
  readonly #settings: Settings;
  readonly #order: ManifestOrder;

  constructor(registry: Registry, settings: Settings, order: ManifestOrder) {
    this.#registry = registry;
    this.#settings = settings;
    this.#order = order;
  }

  async run(): Promise<PushOutcome> {
    const bytes = await this.#read();
    const missing = await this.#missing();
    let last: Reply | undefined;
    if (missing.length > 0) last = await this.#put(missing, bytes);
    await this.#noteSubject(bytes, last);
    return missing.length === 0 ? "exists" : "sent";
  }

  async #read(): Promise<Buffer> {
    const { body, descriptor } = this.#order;
    const { digest, size } = descriptor;
    const limit = this.#settings.maxManifestSize;
    if (size > limit) {
      throw new CodedError(
        "ERR_RESOURCE_EXHAUSTED",
        `manifest ${digest}: ${size} bytes are over the limit of ${limit}`,
      );
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of verifyStream(body(0), digest, size)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  /** The references under which the registry does not have it: tags, or its digest if there are none. */
  async #missing(): Promise<readonly string[]> {
    const { descriptor, tags } = this.#order;
    const missing: string[] = [];
    for (const reference of tags.length === 0 ? [descriptor.digest] : tags) {
      if (!(await isPresent(this.#registry, `manifests/${reference}`, this.#order))) missing.push(reference);
    }
    return missing;
  }

  async #put(references: readonly string[], bytes: Buffer): Promise<Reply> {
    const [first = "", ...others] = references;
    // A tag alone says nothing of the algorithm, and registries take it for sha256.
    const needsDigest = digestAlgorithm(this.#order.descriptor.digest) !== "sha256" && !isDigest(first);
    if (others.length === 0 && !needsDigest) return this.#putOne(first, bytes);
    const together = await this.#putAll(references, bytes);
    let last = together.reply;
    for (const tag of references) if (!together.tags.has(tag)) last = await this.#putOne(tag, bytes);
    return last;
  }

  /** Under its digest, and all tags by one request, where the registry knows how (P10). */
  async #putAll(
    tags: readonly string[],
    bytes: Buffer,
  ): Promise<{ readonly reply: Reply; readonly tags: ReadonlySet<string> }> {
    const query = new URLSearchParams();
    for (const tag of tags) query.append("tag", tag);
    const request = this.#request(`manifests/${this.#order.descriptor.digest}?${query.toString()}`, bytes);
    const reply = await this.#registry.send(request);
    if (!accepted.has(reply.status) && !knowsNoTags.has(reply.status)) throw await this.#failure(reply, request);
    await reply.discard();
    if (!accepted.has(reply.status)) return { reply, tags: new Set() };
    this.#mustBeOurs(reply, bytes);
    const told = reply.headers("oci-tag").flatMap((header) => header.split(","));
    return { reply, tags: new Set(told.map((tag) => tag.trim())) };
  }

  async #putOne(reference: string, bytes: Buffer): Promise<Reply> {
    const request = this.#request(`manifests/${reference}`, bytes);
    const reply = await this.#registry.send(request);
    if (!accepted.has(reply.status)) throw await this.#failure(reply, request);
    await reply.discard();
    this.#mustBeOurs(reply, bytes);
    return reply;
  }

  /** A manifest that belongs to another must be found there, whatever the registry can do and says that it did (R3, R4). */
  async #noteSubject(bytes: Buffer, last: Reply | undefined): Promise<void> {
    const { descriptor, repository, signal } = this.#order;
    const referrer = asReferrer(descriptor, bytes);
    if (referrer === undefined) return;
    const place = { registry: this.#registry, repository, settings: this.#settings, signal };
    const isSilent = last !== undefined && last.header("oci-subject") === undefined;
    if (!isSilent && (await listsReferrers(place, referrer.subject))) return;
    await new ReferrersIndex(place, referrer.subject).add(referrer.descriptor);
  }

  #request(target: string, bytes: Buffer): RegistryRequest {
    const { descriptor, repository, signal } = this.#order;
    const headers = { "content-type": descriptor.mediaType };
    return { method: "PUT", repository, target, purpose: "push", actions: "pull,push", headers, body: bytes, signal };
  }

  async #failure(reply: Reply, request: RegistryRequest): Promise<CodedError> {
    const error = await this.#registry.failure(reply, request);
    const vague = hasCode(error, "ERR_INVALID_ARGUMENT") || hasCode(error, "ERR_PERMISSION_DENIED");
    if (!vague || !immutable.test(error.message)) return error;
    return new CodedError("ERR_FAILED_PRECONDITION", error.message, { cause: error });
  }

  /** Its name may be of another algorithm than ours; it must be a name of the same bytes. */
  #mustBeOurs(reply: Reply, bytes: Buffer): void {
    const told = reply.header("docker-content-digest");
    if (told === undefined || (isDigest(told) && digestOf(bytes, digestAlgorithm(told)) === told)) return;
    const text = `content ${this.#order.descriptor.digest}: the registry stored ${printable(told).slice(0, 140)}`;
    throw new CodedError("ERR_DIGEST_MISMATCH", text);
  }
}
