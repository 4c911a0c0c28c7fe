import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { CodedError } from "@varve/errors";
import { contentEncodings, undoEncodings } from "./content-encoding.ts";
import { errorCode, networkFailure } from "./network-failure.ts";
import { describeUrl } from "./printable.ts";
import type { Secrets } from "./secrets.ts";

/** Where an answer came from. */
export interface ReplyOrigin {
  readonly method: string;
  /** The address that answered: after redirects, the last one. */
  readonly url: URL;
  /** A redirect led away from the host that was asked. */
  readonly foreign: boolean;
  readonly signal: AbortSignal | undefined;
  readonly idleTimeout: number;
  /** What must not be shown, even if the server repeats it. */
  readonly secrets: Secrets;
}

// As much of an unwanted body is read, and for so long, so that its connection can be used again.
const drainLimit = 64 * 1024;
const drainTime = 1000;

/** One answer of a server. Its body must be read to the end or discarded. */
export class Reply {
  readonly method: string;
  readonly url: URL;
  readonly foreign: boolean;
  readonly signal: AbortSignal | undefined;
  readonly status: number;
  readonly secrets: Secrets;
  /** Encodings that the server put on the body; `body()` undoes them. */
  readonly encodings: readonly string[];
  readonly #response: Dispatcher.ResponseData<unknown>;
  readonly idleTimeout: number;

  constructor(response: Dispatcher.ResponseData<unknown>, origin: ReplyOrigin) {
    this.method = origin.method;
    this.url = origin.url;
    this.foreign = origin.foreign;
    this.signal = origin.signal;
    this.idleTimeout = origin.idleTimeout;
    this.secrets = origin.secrets;
    this.status = response.statusCode;
    this.#response = response;
    this.encodings = contentEncodings(this.headers("content-encoding").join(","));
    // A body that fails before anybody reads it must not take the process down; readers see the error later.
    response.body.on("error", () => undefined);
  }

  /** The first value of a header. */
  header(name: string): string | undefined {
    return this.headers(name)[0];
  }

  headers(name: string): readonly string[] {
    const value = this.#response.headers[name];
    return value === undefined ? [] : typeof value === "string" ? [value] : value;
  }

  /** The size of what `body()` yields, when the server says. */
  contentLength(): number | undefined {
    const value = this.header("content-length");
    return value !== undefined && this.encodings.length === 0 && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
  }

  /** Yields the body without content encodings. To be called once. Ending the iteration early ends the exchange. */
  async *body(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      const decoded: Readable = undoEncodings(this.#response.body, this.encodings);
      for await (const chunk of decoded) {
        const bytes: Uint8Array = chunk;
        yield bytes;
      }
    } catch (error) {
      throw this.#failure(error);
    } finally {
      this.#response.body.destroy();
    }
  }

  /** Drops the body. */
  async discard(): Promise<void> {
    const { body } = this.#response;
    const timer = setTimeout(() => body.destroy(), drainTime);
    try {
      await body.dump({ limit: drainLimit });
    } catch (error) {
      this.signal?.throwIfAborted();
      // What breaks while it is thrown away does not matter.
      void error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the exchange; whoever reads the body gets this error. */
  drop(error: Error): void {
    this.#response.body.destroy(error);
  }

  #failure(error: unknown): unknown {
    if (this.signal?.aborted === true) return this.signal.reason;
    if (errorCode(error)?.startsWith("Z_") === true || errorCode(error)?.startsWith("ZSTD_") === true) {
      const subject = `${this.method} ${describeUrl(this.url)}`;
      return new CodedError("ERR_INVALID_DATA", `${subject}: content encoding ${this.encodings.join(", ")} is broken`, {
        cause: error,
      });
    }
    return networkFailure(error, this);
  }
}
