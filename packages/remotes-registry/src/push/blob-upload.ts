import { digestAlgorithm, isDigest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { sleep } from "@varve/locks";
import type { PushOptions } from "@varve/remotes";
import type { RegistryRequest } from "../hosts/registry-host.ts";
import type { Registry } from "../hosts/registry.ts";
import { printable } from "../http/printable.ts";
import type { Reply } from "../http/reply.ts";
import { backoff, isPassing } from "../http/retry.ts";
import type { Settings } from "../options.ts";
import { BlobSource } from "./blob-source.ts";
import { isPresent } from "./presence.ts";
import type { Presence } from "./presence.ts";
import { interruptionOf } from "./interruption.ts";
import type { Interruption } from "./interruption.ts";
import { bytesHeld, cancelUpload, minimumPart, sessionOf, startOf, withDigest } from "./upload-session.ts";
import type { UploadSession } from "./upload-session.ts";

// ECR and others answer uploads with any of these (P7, U-PSH.4).
const accepted: ReadonlySet<number> = new Set([200, 201, 202, 204]);
/** Blobs up to here are sent along with the request that ends the upload: one round trip less. */
const maxSingle = 1024 * 1024;

export interface BlobUploadOrder extends Presence {
  readonly body: PushOptions["body"];
}

/** One blob on its way to a registry, over as many requests as it takes. */
export class BlobUpload {
  readonly #registry: Registry;
  readonly #settings: Settings;
  readonly #order: BlobUploadOrder;
  readonly #source: BlobSource;
  #session: UploadSession | undefined;
  /** Bytes that the registry has in this session. */
  #held = 0;
  /** Most bytes that it ever had in one. */
  #best = 0;
  #partSize: number;
  /** The session goes on after a failure: what the registry says it has may be wrong. */
  #resumed = false;

  constructor(registry: Registry, settings: Settings, order: BlobUploadOrder) {
    this.#registry = registry;
    this.#settings = settings;
    this.#order = order;
    this.#source = new BlobSource(order.descriptor, order.body);
    this.#partSize = settings.uploadChunkSize ?? Number.POSITIVE_INFINITY;
  }

  /** @param session one that is open already; default: a new one */
  async run(session: UploadSession | undefined): Promise<void> {
    if (session !== undefined) this.#begin(session);
    try {
      await this.#untilStored();
    } catch (error) {
      await this.#drop();
      this.#order.signal?.throwIfAborted();
      throw error;
    } finally {
      await this.#source.close();
    }
  }

  async #untilStored(): Promise<void> {
    const { descriptor, signal } = this.#order;
    let reached = -1;
    for (let failures = 0; ;) {
      const stop = await this.#advance();
      if (stop === undefined) return;
      failures = this.#best > reached ? 1 : failures + 1;
      reached = this.#best;
      if (failures > this.#settings.retries || this.#isWasteful()) throw stop.error;
      const delayMs = Math.max(stop.waitMs, backoff(this.#settings, failures - 1));
      this.#tell(failures, delayMs, stop.error);
      await sleep(delayMs, { signal });
      // The answer to the last request may be all that was lost.
      if (this.#source.used === descriptor.size && (await this.#isStored())) return;
      // The same upload failed twice without a byte more: it is stuck.
      if (stop.isSpoilt || failures > 1) await this.#drop();
      else await this.#resynchronise();
    }
  }

  /** Goes on until the blob is stored, or something is in the way. */
  async #advance(): Promise<Interruption | undefined> {
    const { size } = this.#order.descriptor;
    if (this.#session === undefined) this.#begin(await this.#open());
    if (this.#held === 0 && size <= Math.min(this.#partSize, maxSingle)) return this.#finish();
    while (this.#held < size) {
      const result = await this.#sendPart();
      if (result !== undefined) return result === "stored" ? undefined : result;
    }
    return this.#finish();
  }

  async #open(): Promise<UploadSession> {
    const { descriptor, repository, signal } = this.#order;
    const request = startOf(repository, descriptor, { signal });
    const reply = await this.#registry.send(request);
    if (reply.status !== 202) throw await this.#registry.failure(reply, request);
    await reply.discard();
    return sessionOf(reply);
  }

  #begin(session: UploadSession): void {
    this.#session = session;
    this.#held = 0;
    this.#resumed = false;
    this.#partSize = Math.max(this.#partSize, minimumPart(session.reply));
  }

  /** Sends the next part, or all that is left. */
  async #sendPart(): Promise<Interruption | "stored" | undefined> {
    const { size } = this.#order.descriptor;
    const start = this.#held;
    const end = Math.min(size, start + this.#partSize);
    // A stream from the first byte on is older than parts are: not everybody who knows it knows ranges.
    const ranged = start > 0 || end < size;
    const request = this.#request("PATCH", this.#current().url, {
      headers: { ...(ranged && { "content-range": `${start}-${end - 1}` }) },
      start,
      end,
    });
    const reply = await this.#send(request);
    if ("error" in reply) return reply;
    this.#session = sessionOf(reply, this.#current());
    const told = bytesHeld(reply);
    this.#note(told !== undefined && told > start && told < end ? told : end);
    if (this.#isWasteful()) throw this.#wasted();
    // ECR has the blob then, and refuses what would end the upload (P7).
    if (reply.status === 201 && this.#held === size && (await this.#isStored())) return "stored";
    return undefined;
  }

  /** Ends the upload, with what is left of the blob. */
  async #finish(): Promise<Interruption | undefined> {
    const { digest, size } = this.#order.descriptor;
    const url = withDigest(this.#current(), digest);
    const reply = await this.#send(this.#request("PUT", url, { headers: {}, start: this.#held, end: size }));
    if ("error" in reply) return reply;
    const told = reply.header("docker-content-digest");
    if (told === undefined || told === digest) return undefined;
    // It may name the blob by the algorithm that it likes better.
    const other = isDigest(told) && digestAlgorithm(told) !== digestAlgorithm(digest);
    if (other && (await this.#isStored())) return undefined;
    const text = `content ${digest}: the registry stored ${printable(told).slice(0, 140)}`;
    throw new CodedError("ERR_DIGEST_MISMATCH", text);
  }

  #request(
    method: "PATCH" | "PUT",
    target: URL,
    { headers, start, end }: { headers: Record<string, string>; start: number; end: number },
  ): RegistryRequest {
    const { repository, signal } = this.#order;
    return {
      method,
      repository,
      target,
      continues: this.#current().reply,
      purpose: "push",
      actions: "pull,push",
      headers: { "content-type": "application/octet-stream", "content-length": String(end - start), ...headers },
      ...(end > start && { body: () => this.#source.part(start, end) }),
      signal,
      repeatable: false,
    };
  }

  /** An accepted answer, its body dropped; or what is in the way and may pass. */
  async #send(request: RegistryRequest): Promise<Reply | Interruption> {
    let reply: Reply;
    try {
      reply = await this.#registry.send(request);
    } catch (error) {
      this.#order.signal?.throwIfAborted();
      if (!isPassing(error)) throw error;
      return { error, waitMs: 0, isSpoilt: false };
    }
    if (accepted.has(reply.status)) {
      await reply.discard();
      return reply;
    }
    return interruptionOf(reply, await this.#registry.failure(reply, request), this.#settings, this.#resumed);
  }

  /** Finds out where to go on: the registry knows what it has; if it does not say, it begins again (P6, G-22). */
  async #resynchronise(): Promise<void> {
    const { repository, signal } = this.#order;
    const { url: target, reply: continues } = this.#current();
    const common = { method: "GET", purpose: "push", actions: "pull,push" } as const;
    const reply = await this.#registry.send({ ...common, repository, target, continues, signal });
    await reply.discard();
    const told = bytesHeld(reply);
    if (!accepted.has(reply.status) || told === undefined || told === 0 || told > this.#source.used) {
      return this.#drop();
    }
    this.#session = sessionOf(reply, this.#current());
    this.#resumed = true;
    this.#note(told);
  }

  /** Progress renews the right to fail, but not for ever: a registry that takes a byte a request is no help. */
  #isWasteful(): boolean {
    return this.#source.given > 8 * (this.#order.descriptor.size + maxSingle);
  }

  #wasted(): CodedError {
    const { digest, size } = this.#order.descriptor;
    const text = `content ${digest}: ${this.#source.given} bytes sent, the registry has ${this.#held} of ${size}`;
    return new CodedError("ERR_NETWORK", text);
  }

  #tell(attempt: number, delayMs: number, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const { host } = this.#current().reply.url;
    this.#settings.onNotice({ type: "retry", host, attempt, delayMs: Math.round(delayMs), reason });
  }

  #note(held: number): void {
    this.#held = held;
    this.#best = Math.max(this.#best, held);
  }

  async #drop(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    this.#held = 0;
    if (session !== undefined) await cancelUpload(this.#registry, this.#order.repository, session);
  }

  #isStored(): Promise<boolean> {
    return isPresent(this.#registry, `blobs/${this.#order.descriptor.digest}`, this.#order);
  }

  #current(): UploadSession {
    if (this.#session !== undefined) return this.#session;
    throw new CodedError("ERR_INTERNAL", `content ${this.#order.descriptor.digest}: no upload is open`);
  }
}
