import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { CodedError } from "@varve/errors";
import { Call } from "./call.ts";
import { MemoryBudget } from "./memory-budget.ts";
import type { RegistryServerOptions } from "./options.ts";
import { ProtocolError } from "./protocol-error.ts";
import { Registry } from "./registry.ts";
import { parseRoute } from "./route.ts";

export interface ListenOptions {
  /** Default: `127.0.0.1`. Unless `authenticate` is given, who can reach it can read, and write unless it is read-only. */
  readonly host?: string | undefined;
  /** Default: 0, a free port. */
  readonly port?: number | undefined;
}

export interface RegistryAddress {
  readonly host: string;
  readonly port: number;
}

/** A registry over a content store. */
export interface RegistryServer extends AsyncDisposable {
  /**
   * Starts to answer, and tells where.
   *
   * @throws ERR_FAILED_PRECONDITION it listens, or was closed
   * @throws the system's errors, such as EADDRINUSE
   */
  listen(options?: ListenOptions): Promise<RegistryAddress>;
  /** Where it listens; `undefined` before `listen` and after `close`. */
  readonly address: RegistryAddress | undefined;
  /** Breaks off all requests, and drops uploads that are not finished. Closing twice is allowed. */
  close(): Promise<void>;
}

/** Makes a server of the distribution API (OCI distribution specification 1.1) over a content store. */
export function createRegistryServer(options: RegistryServerOptions): RegistryServer {
  return new HttpRegistryServer(options);
}

class HttpRegistryServer implements RegistryServer {
  readonly #options: RegistryServerOptions;
  readonly #server: Server;
  readonly #registry: Registry;
  readonly #budget: MemoryBudget;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #address: RegistryAddress | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: RegistryServerOptions) {
    this.#options = options;
    const { maxManifestSize = 8 * 1024 * 1024 } = options;
    this.#budget = new MemoryBudget(32 * maxManifestSize);
    this.#registry = new Registry({ ...options, maxManifestSize }, this.#budget, this.#stop.signal);
    const idleTimeout = options.idleTimeout ?? 60_000;
    // No limit on a whole request: a large layer over a slow line takes as long as it takes, if only bytes flow.
    this.#server = createServer({ requestTimeout: 0, headersTimeout: Math.min(idleTimeout, 30_000) });
    this.#server.timeout = idleTimeout;
    this.#server.maxConnections = options.maxConnections ?? 1000;
    const run = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void => {
      const running = this.#serve(request, response, expectsContinue);
      this.#running.add(running);
      void running.finally(() => this.#running.delete(running));
    };
    this.#server.on("request", (request, response) => run(request, response, false));
    this.#server.on("checkContinue", (request, response) => run(request, response, true));
  }

  get address(): RegistryAddress | undefined {
    return this.#address;
  }

  async listen(options: ListenOptions = {}): Promise<RegistryAddress> {
    if (this.#server.listening || this.#closed !== undefined) {
      throw new CodedError("ERR_FAILED_PRECONDITION", "registry server: it listens already, or was closed");
    }
    const { host = "127.0.0.1", port = 0 } = options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
    const bound = this.#server.address();
    if (bound === null || typeof bound === "string")
      throw new CodedError("ERR_INTERNAL", "registry server: no address");
    this.#address = { host: bound.address, port: bound.port };
    return this.#address;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#address = undefined;
    this.#stop.abort(new CodedError("ERR_ABORTED", "registry server: closed"));
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
    await Promise.all(this.#running);
    await this.#registry.close();
  }

  /** Never rejects: whatever happens becomes an answer and a record. */
  async #serve(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): Promise<void> {
    const gone = new AbortController();
    response.once("close", () => gone.abort(new CodedError("ERR_ABORTED", "registry server: the client went away")));
    response.setHeader("docker-distribution-api-version", "registry/2.0");
    response.setHeader("x-content-type-options", "nosniff");
    const target = request.url ?? "";
    const url = target.startsWith("/") ? URL.parse(`http://registry${target}`) : undefined;
    const signal = AbortSignal.any([gone.signal, this.#stop.signal]);
    const call = new Call(request, response, {
      url: url ?? new URL("http://registry/"),
      signal,
      expectsContinue,
      budget: this.#budget,
    });
    let failure: unknown;
    try {
      await this.#registry.answer(call, parseRoute(target, call.url));
    } catch (error) {
      if (!signal.aborted) failure = failureIn(error);
      await call.fail(error);
    }
    this.#options.onRequest?.({
      method: call.method,
      path: call.url.pathname,
      status: response.statusCode,
      bytes: call.sent,
      received: call.received,
      ...(failure !== undefined && { error: failure }),
    });
  }
}

/** What went wrong here or behind this server; mistakes of clients are none of that. */
function failureIn(error: unknown): unknown {
  if (!(error instanceof ProtocolError)) return error;
  return error.cause ?? (error.status >= 500 ? error : undefined);
}
