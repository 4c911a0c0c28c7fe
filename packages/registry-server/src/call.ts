import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { isMet } from "./conditions.ts";
import { drain } from "./drain.ts";
import type { MemoryBudget } from "./memory-budget.ts";
import { ProtocolError } from "./protocol-error.ts";

type Headers = Readonly<Record<string, string>>;

export interface CallOptions {
  readonly url: URL;
  /** Aborts when the client goes away or the server closes. */
  readonly signal: AbortSignal;
  /** The client waits for a word before it sends the body (`Expect: 100-continue`). */
  readonly expectsContinue: boolean;
  readonly budget: MemoryBudget;
}

/** One request and its answer. */
export class Call {
  readonly request: IncomingMessage;
  readonly url: URL;
  readonly signal: AbortSignal;
  readonly #response: ServerResponse;
  readonly #budget: MemoryBudget;
  #expectsContinue: boolean;
  /** Bytes of the budget. */
  #held = 0;
  #received = 0;
  #sent = 0;

  constructor(request: IncomingMessage, response: ServerResponse, options: CallOptions) {
    this.request = request;
    this.#response = response;
    this.url = options.url;
    this.signal = options.signal;
    this.#budget = options.budget;
    this.#expectsContinue = options.expectsContinue;
    response.once("close", () => {
      this.#budget.give(this.#held);
      this.#held = 0;
    });
  }

  get method(): string {
    return this.request.method ?? "";
  }

  /** Bytes of the request's body that were read. */
  get received(): number {
    return this.#received;
  }

  /** Bytes of the answer's body that were handed to the connection. */
  get sent(): number {
    return this.#sent;
  }

  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return typeof value === "string" ? value : value?.[0];
  }

  /** Goes with the answer, whatever it is. */
  setHeader(name: string, value: string): void {
    this.#response.setHeader(name, value);
  }

  /** How many bytes the client says it sends; `undefined`: it does not say. */
  get contentLength(): number | undefined {
    const header = this.header("content-length");
    return header === undefined ? undefined : Number(header);
  }

  /** The request's body as it comes. */
  async *body(): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#expectsContinue) this.#response.writeContinue();
    this.#expectsContinue = false;
    // The rest of a body that is refused is still read, for a while.
    for await (const chunk of this.request.iterator({ destroyOnReturn: false })) {
      const bytes: Uint8Array = chunk;
      this.#received += bytes.byteLength;
      yield bytes;
    }
  }

  /** @throws ProtocolError TOO_LARGE, TOOMANYREQUESTS; no more than `limit` bytes are kept */
  async bodyAtMost(limit: number): Promise<Uint8Array> {
    const tooLarge = (): ProtocolError => new ProtocolError("TOO_LARGE", `the body is longer than ${limit} bytes`);
    if ((this.contentLength ?? 0) > limit) throw tooLarge();
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of this.body()) {
      size += chunk.byteLength;
      if (size > limit) throw tooLarge();
      this.#hold(chunk.byteLength);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, size);
  }

  /** Answers without a body. */
  empty(status: number, headers: Headers = {}): void {
    // A 204 has no length (RFC 9110, section 8.6).
    this.#response.writeHead(status, { ...(status !== 204 && { "content-length": "0" }), ...headers }).end();
  }

  json(status: number, value: unknown, headers: Headers = {}): void {
    this.bytes(status, Buffer.from(JSON.stringify(value)), { "content-type": "application/json", ...headers });
  }

  /**
   * Answers with bytes in memory; to a HEAD, with their length.
   *
   * @throws ProtocolError TOOMANYREQUESTS
   */
  bytes(status: number, body: Uint8Array, headers: Headers): void {
    if (this.method !== "HEAD") this.#hold(body.byteLength);
    this.#begin(status, body, headers);
    this.#response.end();
  }

  /** Whether the client has just this already; then that is the answer. */
  isUnchanged(etag: string, headers: Headers): boolean {
    const condition = this.header("if-none-match");
    if (condition === undefined || !isMet(condition, etag)) return false;
    this.#response.writeHead(304, { etag, ...headers }).end();
    return true;
  }

  /** Answers with a stream; waits for a client that is slow. A source that fails at once can still be told of. */
  async stream(status: number, source: AsyncIterable<Uint8Array>, headers: Headers): Promise<void> {
    const chunks = source[Symbol.asyncIterator]();
    const first = await chunks.next();
    this.#response.writeHead(status, headers);
    await pipeline(this.#counted(first, chunks), this.#response, { signal: this.signal });
  }

  /** Answers with what went wrong; a stream that has begun can only be cut off. */
  async fail(error: unknown): Promise<void> {
    if (this.#response.headersSent) {
      this.#response.destroy();
      return;
    }
    const known = error instanceof ProtocolError ? error : new ProtocolError("UNKNOWN", "the server failed");
    const isWhole = this.request.complete || !this.#hasBody;
    const body = Buffer.from(JSON.stringify(known));
    this.#begin(known.status, body, {
      "content-type": "application/json",
      ...known.headers,
      ...(!isWhole && { connection: "close" }),
    });
    // A connection that is closed over unread bytes is reset, and the client may never see the answer.
    if (!isWhole && !this.#expectsContinue) await drain(this.request, this.signal);
    this.#response.end();
  }

  /** Until the client has the answer, or has gone. */
  #hold(bytes: number): void {
    this.#budget.take(bytes);
    this.#held += bytes;
  }

  get #hasBody(): boolean {
    return this.header("transfer-encoding") !== undefined || (this.contentLength ?? 0) > 0;
  }

  #begin(status: number, body: Uint8Array, headers: Headers): void {
    this.#response.writeHead(status, { "content-length": String(body.byteLength), ...headers });
    if (this.method === "HEAD" || body.byteLength === 0) return;
    this.#sent = body.byteLength;
    this.#response.write(body);
  }

  async *#counted(
    first: IteratorResult<Uint8Array, unknown>,
    chunks: AsyncIterator<Uint8Array, unknown>,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (let next = first; next.done !== true; next = await chunks.next()) {
        this.#sent += next.value.byteLength;
        yield next.value;
      }
    } finally {
      await chunks.return?.();
    }
  }
}
