import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { ProtocolError } from "./protocol-error.ts";

/** One request and its answer. */
export class Call {
  readonly request: IncomingMessage;
  readonly url: URL;
  /** Aborts when the client goes away or the server closes. */
  readonly signal: AbortSignal;
  readonly #response: ServerResponse;
  #received = 0;
  #sent = 0;

  constructor(request: IncomingMessage, response: ServerResponse, url: URL, signal: AbortSignal) {
    this.request = request;
    this.#response = response;
    this.url = url;
    this.signal = signal;
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

  /** The request's body as it comes. */
  async *body(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of this.request) {
      const bytes: Uint8Array = chunk;
      this.#received += bytes.byteLength;
      yield bytes;
    }
  }

  /** @throws ProtocolError TOO_LARGE; no more than `limit` bytes are kept */
  async bodyAtMost(limit: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of this.body()) {
      size += chunk.byteLength;
      if (size > limit) throw new ProtocolError("TOO_LARGE", `the body is longer than ${limit} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, size);
  }

  /** Answers without a body. */
  empty(status: number, headers: Readonly<Record<string, string>> = {}): void {
    this.#response.writeHead(status, { "content-length": "0", ...headers }).end();
  }

  json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): void {
    this.bytes(status, Buffer.from(JSON.stringify(value)), { "content-type": "application/json", ...headers });
  }

  /** Answers with bytes in memory; to a HEAD, with their length. */
  bytes(status: number, body: Uint8Array, headers: Readonly<Record<string, string>>): void {
    this.#response.writeHead(status, { "content-length": String(body.byteLength), ...headers });
    if (this.request.method === "HEAD") {
      this.#response.end();
      return;
    }
    this.#sent = body.byteLength;
    this.#response.end(body);
  }

  /** Answers with a stream; waits for a client that is slow. */
  async stream(
    status: number,
    source: AsyncIterable<Uint8Array>,
    headers: Readonly<Record<string, string>>,
  ): Promise<void> {
    this.#response.writeHead(status, headers);
    await pipeline(this.#counted(source), this.#response, { signal: this.signal });
  }

  /** Answers with what went wrong; a stream that has begun can only be cut off. */
  fail(error: unknown): void {
    if (this.#response.headersSent) {
      this.#response.destroy();
      return;
    }
    const known = error instanceof ProtocolError ? error : new ProtocolError("UNKNOWN", "the server failed");
    // What is left of the request's body is not worth reading.
    const close: Record<string, string> = this.request.complete ? {} : { connection: "close" };
    this.json(known.status, known, { ...known.headers, ...close });
  }

  async *#counted(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of source) {
      this.#sent += chunk.byteLength;
      yield chunk;
    }
  }
}
