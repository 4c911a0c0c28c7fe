import type { ContentStore } from "@varve/content";
import type { Authenticate } from "./authenticate.ts";
import type { TagStore } from "./tag-store.ts";
import type { UpstreamChoice } from "./upstream.ts";

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
  /** What went wrong inside, or with the upstream; absent for mistakes of the client. */
  readonly error?: unknown;
}

export interface RegistryServerOptions {
  /** Holds manifests and blobs. The server does not close it. */
  readonly content: ContentStore;
  /** Default: tags in memory. */
  readonly tags?: TagStore | undefined;
  /** Refuses everything that changes something. Default: false. */
  readonly readOnly?: boolean | undefined;
  /** Refuses to delete tags, manifests and blobs. Default: false. */
  readonly keepAll?: boolean | undefined;
  /** Who may do what. Default: everybody may do everything. */
  readonly authenticate?: Authenticate | undefined;
  /** What is not here is fetched from there, kept and served; pushes are refused then. Default: none. */
  readonly upstream?: UpstreamChoice | undefined;
  /** Milliseconds for which the upstream is not asked again what a tag stands for. Default: 0, it is asked each time. */
  readonly upstreamTagMaxAge?: number | undefined;
  /**
   * Largest manifest that is accepted, in bytes. Manifests and lists that are on their way take 32 times as much memory at the most;
   * who comes then is told to come again. Default: 8 MiB.
   */
  readonly maxManifestSize?: number | undefined;
  /** Largest blob that is accepted, in bytes. Default: no limit. */
  readonly maxBlobSize?: number | undefined;
  /** Milliseconds without a byte until a connection is closed. Default: 60,000. */
  readonly idleTimeout?: number | undefined;
  /** Connections open at the same time; further ones are closed at once. Default: 1000. */
  readonly maxConnections?: number | undefined;
  /** Uploads open at the same time. Default: 1000. */
  readonly maxUploads?: number | undefined;
  /** Milliseconds after which an upload that nobody continues is dropped. Default: one hour. */
  readonly uploadIdleTimeout?: number | undefined;
  /** Told of each request when it is over. It must not throw. */
  readonly onRequest?: ((record: RequestRecord) => void) | undefined;
}
