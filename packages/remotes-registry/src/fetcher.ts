import { CodedError, hasCode } from "@varve/errors";
import { sleep } from "@varve/locks";
import { isIndexType, isManifestType } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { Fetcher, FetchOptions } from "@varve/remotes";
import { parseContentRange, parseUnsatisfied } from "./content-range.ts";
import type { Settings } from "./options.ts";
import { describeUrl } from "./printable.ts";
import type { RegistryHost, RegistryRequest } from "./registry-host.ts";
import type { Reply } from "./reply.ts";
import { backoff, isPassing } from "./retry.ts";
import { repositoryScope } from "./scopes.ts";

/** Fetches from one repository. */
export class RepositoryFetcher implements Fetcher {
  readonly #host: RegistryHost;
  readonly #repository: string;
  readonly #settings: Settings;

  constructor(host: RegistryHost, repository: string, settings: Settings) {
    this.#host = host;
    this.#repository = repository;
    this.#settings = settings;
  }

  async *fetch(descriptor: Descriptor, options: FetchOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const { offset = 0, signal } = options;
    signal?.throwIfAborted();
    const manifest = isManifestType(descriptor.mediaType) || isIndexType(descriptor.mediaType);
    const { digest, size } = descriptor;
    if (manifest && size > this.#settings.maxManifestSize) {
      const text = `manifest ${digest}: ${size} bytes are over the limit of ${this.#settings.maxManifestSize}`;
      throw new CodedError("ERR_RESOURCE_EXHAUSTED", text);
    }
    if (offset >= size) return;
    const transfer = new Transfer(this.#host, this.#settings, {
      descriptor,
      access: { repository: this.#repository, scopes: [repositoryScope(this.#repository, "pull")] },
      // What a manifest names may be kept as a blob; the other way round never happens (M8).
      targets: [...(manifest ? [`manifests/${digest}`] : []), `blobs/${digest}`].map(
        (path) => `/v2/${this.#repository}/${path}`,
      ),
      signal,
    });
    // Manifests pass by waiting blobs: they are small, and others wait for what they say.
    const release = manifest ? undefined : await this.#host.transfers.acquire({ signal });
    try {
      yield* transfer.bytes(offset);
    } finally {
      release?.();
    }
  }
}

interface Order {
  readonly descriptor: Descriptor;
  readonly access: RegistryRequest["access"];
  /** Where it may be, the likeliest first. */
  readonly targets: readonly string[];
  readonly signal: AbortSignal | undefined;
}

/** One opened answer: its body, of which so many bytes are in front of what is wanted. */
interface Part {
  readonly reply: Reply;
  readonly skip: number;
}

/** One blob on its way, over as many requests as it takes. */
class Transfer {
  readonly #host: RegistryHost;
  readonly #settings: Settings;
  readonly #order: Order;
  #position = 0;
  #useRanges = true;
  /** Bytes that came a second time because the server does not know ranges. */
  #wasted = 0;

  constructor(host: RegistryHost, settings: Settings, order: Order) {
    this.#host = host;
    this.#settings = settings;
    this.#order = order;
  }

  async *bytes(offset: number): AsyncGenerator<Uint8Array, void, undefined> {
    const { descriptor, signal } = this.#order;
    const { size } = descriptor;
    this.#position = offset;
    // Progress renews the right to fail, but not for ever: a server that sends a byte a connection is no help.
    let connectionsLeft = 256 + Math.ceil(size / (64 * 1024));
    for (let failures = 0; ;) {
      const before = this.#position;
      let failure: unknown;
      const part = await this.#open();
      try {
        for await (const chunk of this.#wanted(part)) {
          this.#position += chunk.byteLength;
          yield chunk;
        }
        if (this.#position >= size) return;
        failure = this.#endedEarly(part.reply);
      } catch (error) {
        signal?.throwIfAborted();
        if (!isPassing(error)) throw error;
        failure = error;
      }
      failures = this.#position > before ? 0 : failures + 1;
      connectionsLeft -= 1;
      if (failures > this.#settings.retries || connectionsLeft === 0) throw failure;
      await sleep(backoff(this.#settings, failures), { signal });
    }
  }

  async #open(): Promise<Part> {
    const ranged = this.#useRanges && this.#position > 0;
    const reply = await this.#ask(ranged ? { range: `bytes=${this.#position}-` } : {});
    if (reply.status === 416 && ranged) return this.#unsatisfied(reply);
    if (reply.status === 206) return this.#partial(reply);
    const length = reply.contentLength();
    if (length !== undefined && length !== this.#order.descriptor.size) {
      await reply.discard();
      throw this.#otherSize(length);
    }
    this.#wasted += this.#position;
    if (this.#wasted > 8 * this.#order.descriptor.size) {
      await reply.discard();
      throw new CodedError("ERR_NETWORK", `${describe(reply)}: broken off too often by a server that ignores ranges`);
    }
    return { reply, skip: this.#position };
  }

  async #ask(headers: Record<string, string>): Promise<Reply> {
    const { access, descriptor, signal, targets } = this.#order;
    const accept = `${descriptor.mediaType}, */*`;
    for (const [index, target] of targets.entries()) {
      const request = { method: "GET", target, access, headers: { accept, ...headers }, signal } as const;
      const reply = await this.#host.send(request);
      if (reply.status === 200 || reply.status === 206 || (reply.status === 416 && "range" in headers)) return reply;
      const failure = await this.#host.failure(reply, request);
      if (index === targets.length - 1 || !hasCode(failure, "ERR_NOT_FOUND")) throw failure;
    }
    throw new CodedError("ERR_INTERNAL", `content ${descriptor.digest}: nowhere to ask`);
  }

  /** The server says that there is nothing from here on. */
  async #unsatisfied(reply: Reply): Promise<Part> {
    await reply.discard();
    const total = parseUnsatisfied(reply.header("content-range"));
    if (total !== undefined && total !== this.#order.descriptor.size) throw this.#otherSize(total);
    this.#useRanges = false;
    return this.#open();
  }

  async #partial(reply: Reply): Promise<Part> {
    if (reply.encodings.length > 0 && this.#useRanges && this.#position > 0) {
      // A range of the encoded bytes: useless without those before it (B7).
      await reply.discard();
      this.#useRanges = false;
      return this.#open();
    }
    const range = parseContentRange(reply.header("content-range"));
    const wanted = range !== undefined && range.start === this.#position && reply.encodings.length === 0;
    if (wanted && (range.total === undefined || range.total === this.#order.descriptor.size)) return { reply, skip: 0 };
    await reply.discard();
    const told = JSON.stringify(reply.header("content-range") ?? "none");
    const text = `${describe(reply)}: asked for bytes from ${this.#position} on, the answer's Content-Range is ${told}`;
    throw new CodedError("ERR_INVALID_DATA", text);
  }

  async *#wanted(part: Part): AsyncGenerator<Uint8Array, void, undefined> {
    let { skip } = part;
    for await (const chunk of part.reply.body()) {
      const dropped = Math.min(skip, chunk.byteLength);
      skip -= dropped;
      if (dropped < chunk.byteLength) yield dropped === 0 ? chunk : chunk.subarray(dropped);
    }
  }

  #endedEarly(reply: Reply): CodedError {
    const text = `${describe(reply)}: ended after ${this.#position} of ${this.#order.descriptor.size} bytes`;
    return new CodedError("ERR_NETWORK", text);
  }

  #otherSize(size: number): CodedError {
    const { descriptor } = this.#order;
    const text = `content ${descriptor.digest}: the registry has ${size} bytes, expected ${descriptor.size}`;
    return new CodedError("ERR_DIGEST_MISMATCH", text);
  }
}

function describe(reply: Reply): string {
  return `${reply.method} ${describeUrl(reply.url)}`;
}
