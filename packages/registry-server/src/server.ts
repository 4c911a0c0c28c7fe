import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { ContentStore } from "@varve/content";
import { CodedError } from "@varve/errors";
import { sendBlob } from "./blobs.ts";
import { Call } from "./call.ts";
import { sendCatalog, sendTags } from "./lists.ts";
import { Manifests } from "./manifests.ts";
import { ProtocolError } from "./protocol-error.ts";
import { parseRoute } from "./route.ts";
import type { Route } from "./route.ts";
import { createMemoryTagStore } from "./tag-store.ts";
import type { TagStore } from "./tag-store.ts";
import { continueUpload, startUpload } from "./upload-routes.ts";
import { Uploads } from "./uploads.ts";

/** One request that was answered, or broken off. */
export interface RequestRecord {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly status: number;
  /** Bytes of the answer's body that were sent. */
  readonly bytes: number;
  /** Bytes of the request's body that were read. */
  readonly received: number;
  /** What went wrong inside; absent for mistakes of the client. */
  readonly error?: unknown;
}

export interface RegistryServerOptions {
  /** Holds manifests and blobs. The server does not close it. */
  readonly content: ContentStore;
  /** Default: tags in memory. */
  readonly tags?: TagStore | undefined;
  /** Refuses everything that changes something. Default: false. */
  readonly readOnly?: boolean | undefined;
  /** Largest manifest that is accepted, in bytes. Default: 8 MiB. */
  readonly maxManifestSize?: number | undefined;
  /** Milliseconds without a byte until a connection is closed. Default: 60,000. */
  readonly idleTimeout?: number | undefined;
  /** Uploads open at the same time. Default: 1000. */
  readonly maxUploads?: number | undefined;
  /** Milliseconds after which an upload that nobody continues is dropped. Default: one hour. */
  readonly uploadIdleTimeout?: number | undefined;
  /** Told of each request when it is over. It must not throw. */
  readonly onRequest?: ((record: RequestRecord) => void) | undefined;
}

export interface ListenOptions {
  /** Default: `127.0.0.1`. The server knows no users: who can reach it can read, and write unless it is read-only. */
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

const writingMethods: ReadonlySet<string> = new Set(["PUT", "POST", "PATCH", "DELETE"]);

class HttpRegistryServer implements RegistryServer {
  readonly #options: RegistryServerOptions;
  readonly #server: Server;
  readonly #tags: TagStore;
  readonly #manifests: Manifests;
  readonly #uploads: Uploads;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #address: RegistryAddress | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: RegistryServerOptions) {
    this.#options = options;
    this.#tags = options.tags ?? createMemoryTagStore();
    this.#manifests = new Manifests(options.content, this.#tags, options.maxManifestSize ?? 8 * 1024 * 1024);
    this.#uploads = new Uploads(options.content, {
      maxUploads: options.maxUploads ?? 1000,
      uploadIdleTimeout: options.uploadIdleTimeout ?? 3_600_000,
    });
    const idleTimeout = options.idleTimeout ?? 60_000;
    // No limit on a whole request: a large layer over a slow line takes as long as it takes, if only bytes flow.
    this.#server = createServer(
      { requestTimeout: 0, headersTimeout: Math.min(idleTimeout, 30_000) },
      (request, response) => {
        const running = this.#serve(request, response);
        this.#running.add(running);
        void running.finally(() => this.#running.delete(running));
      },
    );
    this.#server.timeout = idleTimeout;
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
    await this.#uploads.close();
  }

  /** Never rejects: whatever happens becomes an answer and a record. */
  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once("close", () => gone.abort(new CodedError("ERR_ABORTED", "registry server: the client went away")));
    response.setHeader("docker-distribution-api-version", "registry/2.0");
    response.setHeader("x-content-type-options", "nosniff");
    const url = URL.parse(`http://registry${request.url?.startsWith("/") === true ? request.url : "/"}`);
    const signal = AbortSignal.any([gone.signal, this.#stop.signal]);
    const call = new Call(request, response, url ?? new URL("http://registry/"), signal);
    let failure: unknown;
    try {
      await this.#answer(call, parseRoute(call.url));
    } catch (error) {
      if (!(error instanceof ProtocolError) && !signal.aborted) failure = error;
      call.fail(error);
    }
    this.#options.onRequest?.({
      method: request.method ?? "",
      path: call.url.pathname,
      status: response.statusCode,
      bytes: call.sent,
      received: call.received,
      ...(failure !== undefined && { error: failure }),
    });
  }

  async #answer(call: Call, route: Route): Promise<void> {
    const method = call.request.method ?? "";
    if (this.#options.readOnly === true && writingMethods.has(method)) {
      throw new ProtocolError("UNSUPPORTED", "this registry is read-only");
    }
    const { content } = this.#options;
    const reading = method === "GET" || method === "HEAD";
    switch (route.type) {
      case "root":
        if (reading) return call.json(200, {});
        break;
      case "catalog":
        if (reading) return sendCatalog(call, this.#tags);
        break;
      case "tags":
        if (reading) return sendTags(call, this.#tags, route.repository);
        break;
      case "manifest":
        if (reading) return this.#manifests.send(call, route.repository, route.reference);
        if (method === "PUT") return this.#manifests.receive(call, route.repository, route.reference);
        if (method === "DELETE") return this.#manifests.delete(call, route.repository, route.reference);
        break;
      case "blob":
        if (reading) return sendBlob(call, content, route.digest);
        break;
      case "uploads":
        if (method === "POST") return startUpload(call, content, this.#uploads, route.repository);
        break;
      case "upload":
        if (method !== "POST") return continueUpload(call, this.#uploads, route.repository, route.id);
        break;
      case "referrers":
        // Clients fall back to the referrers tag (distribution specification, "Unavailable Referrers API").
        throw new ProtocolError("NOT_FOUND", "no referrers API");
    }
    throw new ProtocolError("UNSUPPORTED", "the operation is not supported");
  }
}
