import { CodedError, hasCode } from "@varve/errors";
import { isConfigType, isIndexType, isLayerType, isManifestType } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { Registry } from "../hosts/registry.ts";
import { describeUrl } from "../http/printable.ts";
import type { Reply } from "../http/reply.ts";
import type { Transport } from "../http/transport.ts";
import type { Settings } from "../options.ts";
import { parseContentRange, parseUnsatisfied } from "./content-range.ts";
import { ForeignSource } from "./foreign-source.ts";

/** What is needed to ask for the blobs of one repository. */
export interface Origin {
  readonly registry: Registry;
  readonly repository: string;
  readonly settings: Settings;
  /** For addresses outside the registry. */
  readonly transport: Transport;
}

/** Bytes from `from` to before `to`. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface OpenSpanOptions {
  readonly signal: AbortSignal | undefined;
  /** An answer that came to nothing: other servers are asked before the one that gave it. */
  readonly after?: Reply | undefined;
}

/** An answer whose body has the bytes from `start` to before `end`. */
export interface Part {
  readonly reply: Reply;
  readonly start: number;
  readonly end: number;
}

/** So many times its own size is a blob read and dropped where ranges are ignored. */
const maxWaste = 8;
/** So many servers may give answers that cannot be right. */
const maxUnfit = 4;

/** Where one blob is to be had, and what was learned about that on the way. */
export class BlobSource {
  readonly descriptor: Descriptor;
  readonly #origin: Origin;
  readonly #distrusted: Reply | undefined;
  readonly #foreign: ForeignSource;
  #useRanges = true;
  /** Bytes that came a second time because the server does not know ranges. */
  #wasted = 0;
  #giver: Reply | undefined;

  /** @param distrusted an earlier answer whose bytes were of no use */
  constructor(origin: Origin, descriptor: Descriptor, distrusted?: Reply) {
    this.#origin = origin;
    this.#distrusted = distrusted;
    this.#foreign = new ForeignSource(origin.transport, origin.settings, descriptor);
    this.descriptor = descriptor;
  }

  /** The last answer that was of use. */
  get giver(): Reply | undefined {
    return this.#giver;
  }

  /**
   * Asks for some of the blob. The answer may begin before `from` and end behind `to`, if it is all of the blob, or end early.
   *
   * @throws ERR_DIGEST_MISMATCH the other side has another number of bytes
   * @throws ERR_INVALID_DATA it gave a range that was not asked for
   */
  async open(span: Span, { signal, after }: OpenSpanOptions): Promise<Part> {
    const seen = new Set<string>();
    let unfit = after ?? this.#distrusted;
    for (;;) {
      const range = this.#rangeOf(span);
      const reply = await this.#ask(range, { signal, after: unfit });
      const judged = this.#judge(reply, span, range !== undefined);
      if (!(judged instanceof CodedError) && judged !== "useless range") {
        this.#giver = reply;
        return judged;
      }
      await reply.discard();
      if (judged === "useless range") {
        this.#useRanges = false;
        continue;
      }
      // A mirror may be wrong where the registry is right; a server that is asked a second time gave its answer.
      if (seen.has(reply.url.origin) || seen.size === maxUnfit) throw judged;
      seen.add(reply.url.origin);
      unfit = reply;
    }
  }

  #rangeOf({ from, to }: Span): string | undefined {
    const { size } = this.descriptor;
    if (!this.#useRanges || (from === 0 && to >= size)) return undefined;
    // Without an end it says the same about the last bytes, and is what every server understands.
    return `bytes=${from}-${to < size ? to - 1 : ""}`;
  }

  #judge(reply: Reply, span: Span, isRanged: boolean): Part | CodedError | "useless range" {
    const { size } = this.descriptor;
    if (reply.status === 416) {
      const total = parseUnsatisfied(reply.header("content-range"));
      return total === undefined || total === size ? "useless range" : this.#otherSize(total);
    }
    if (reply.status === 206) return this.#judgeRange(reply, span, isRanged);
    const length = reply.contentLength();
    if (length !== undefined && length !== size) return this.#otherSize(length);
    // Each time costs all bytes before: a connection that breaks off often would come to their square (B3).
    this.#wasted += span.from;
    if (this.#wasted > maxWaste * size) {
      const text = `GET ${describeUrl(reply.url)}: broken off too often by a server that ignores ranges`;
      return new CodedError("ERR_NETWORK", text);
    }
    return { reply, start: 0, end: size };
  }

  #judgeRange(reply: Reply, span: Span, isRanged: boolean): Part | CodedError | "useless range" {
    const { size } = this.descriptor;
    // A range of encoded bytes needs those before it to be decoded (B7).
    if (reply.encodings.length > 0 && isRanged) return "useless range";
    const range = parseContentRange(reply.header("content-range"));
    const { from, to } = isRanged ? span : { from: 0, to: size };
    if (range?.start === from && range.end < to && (range.total ?? size) === size && reply.encodings.length === 0) {
      return { reply, start: from, end: range.end + 1 };
    }
    const told = JSON.stringify((reply.header("content-range") ?? "none").slice(0, 100));
    const asked = isRanged ? `bytes from ${from} on` : "everything";
    const text = `GET ${describeUrl(reply.url)}: asked for ${asked}, the answer's Content-Range is ${told}`;
    return new CodedError("ERR_INVALID_DATA", text);
  }

  /** An answer of status 200, 206, or 416 to a range. */
  async #ask(range: string | undefined, { signal, after }: OpenSpanOptions): Promise<Reply> {
    const headers = { accept: `${this.descriptor.mediaType}, */*`, ...(range !== undefined && { range }) };
    if (this.#foreign.isFound) return this.#foreign.again(headers, signal);
    const { registry, repository } = this.#origin;
    let missing: { readonly failure: CodedError; readonly reply: Reply } | undefined;
    for (const target of targetsOf(this.descriptor)) {
      const request = { method: "GET", repository, target, purpose: "pull", headers, signal, after } as const;
      const reply = await registry.send(request);
      if (reply.status === 200 || reply.status === 206 || (reply.status === 416 && range !== undefined)) return reply;
      const failure = await registry.failure(reply, request);
      if (!hasCode(failure, "ERR_NOT_FOUND")) throw failure;
      missing ??= { failure, reply };
    }
    if (missing === undefined)
      throw new CodedError("ERR_INTERNAL", `content ${this.descriptor.digest}: nowhere to ask`);
    return this.#foreign.find(missing, headers, signal);
  }

  #otherSize(size: number): CodedError {
    const { descriptor } = this;
    const text = `content ${descriptor.digest}: the registry has ${size} bytes, expected ${descriptor.size}`;
    return new CodedError("ERR_DIGEST_MISMATCH", text);
  }
}

/** Where a registry may keep it, the likeliest first (M8, U-FET.1, U-FET.6). */
function targetsOf({ mediaType, digest }: Descriptor): readonly string[] {
  const [manifest, blob] = [`manifests/${digest}`, `blobs/${digest}`];
  if (isManifestType(mediaType) || isIndexType(mediaType)) return [manifest, blob];
  return isLayerType(mediaType) || isConfigType(mediaType) ? [blob] : [blob, manifest];
}
