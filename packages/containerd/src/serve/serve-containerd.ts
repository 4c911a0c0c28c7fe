import { createServer } from "node:http2";
import type { Http2Server } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectRouter } from "@connectrpc/connect";
import type { ContentStore } from "@varve/content";
import type { Applier, Comparer } from "@varve/diff";
import { CodedError } from "@varve/errors";
import type { Snapshotter } from "@varve/snapshots";
import { Content } from "../gen/containerd/services/content/v1/content_pb.js";
import { Diff } from "../gen/containerd/services/diff/v1/diff_pb.js";
import { Snapshots } from "../gen/containerd/services/snapshots/v1/snapshots_pb.js";
import { Health } from "../gen/grpc/health/v1/health_pb.js";
import { Calls } from "./calls.ts";
import { Connections } from "./connections.ts";
import { KeptReaders } from "./kept-readers.ts";
import { listenerFor } from "./routes.ts";
import { serveContent } from "./serve-content.ts";
import { serveDiff } from "./serve-diff.ts";
import { serveHealth } from "./serve-health.ts";
import { serveSnapshots } from "./serve-snapshots.ts";
import { checkAddress, listenOn } from "./socket.ts";
import type { ClaimedSocket } from "./socket.ts";

/** Of containerd, both ways: https://github.com/containerd/containerd/blob/main/defaults/defaults.go */
const largestMessage = 16 << 20;
/** How long calls may go on when the server closes, and then how long their answers may take. */
const [patienceMs, farewellMs] = [1000, 200];

export interface ServeContainerdOptions {
  /**
   * Path of the Unix socket, mode 0600. One that a dead process left is replaced; its directory must be there.
   */
  readonly address: string;
  /** By the names that requests carry: those of the `proxy_plugins` in containerd's configuration. */
  readonly snapshotters?: Readonly<Record<string, Snapshotter>> | undefined;
  /**
   * Whether what one namespace of containerd has unpacked serves the others, too: a layer that a snapshotter has under the chain ID that
   * is asked for is not made again. Snapshotters that prepare layers themselves are asked in any case. Default: true.
   */
  readonly shareLayers?: boolean | undefined;
  /**
   * Need not keep labels for a containerd, which keeps them itself; one that does not refuses them. Up to 16 blobs stay open for a
   * second after they were read, and `info` is asked before each Read whether they are there still.
   */
  readonly content?: ContentStore | undefined;
  /** What it lacks of the two is answered with Unimplemented, so that containerd asks its next differ. */
  readonly differ?: Applier | Comparer | (Applier & Comparer) | undefined;
  /** Told of each call that failed in a way its caller has not caused: a defect, or a system error. */
  readonly onError?: ((failure: CallFailure) => void) | undefined;
}

export interface CallFailure {
  /** `containerd.services.snapshots.v1.Snapshots/Commit` */
  readonly method: string;
  readonly error: unknown;
}

/** Serves until it is closed. What it serves belongs to the caller, and is closed by the caller afterwards. */
export interface ContainerdServer extends AsyncDisposable {
  readonly address: string;
  /**
   * Takes no more calls, waits for those under way, aborts what takes longer than a second, and removes the socket. Nothing is called
   * any more when it settles. Closing twice is allowed.
   */
  close(): Promise<void>;
}

/**
 * Serves snapshotters, a content store and a differ over containerd's gRPC interface, for its `proxy_plugins`: one socket for all.
 *
 * @throws ERR_ALREADY_EXISTS somebody listens on the socket, or it is not a socket
 * @throws ERR_INVALID_ARGUMENT there is nothing to serve, or the address is too long for a socket (107 bytes)
 */
export async function serveContainerd(options: ServeContainerdOptions): Promise<ContainerdServer> {
  const { address, onError } = options;
  checkAddress(address);
  const readers = options.content && new KeptReaders(options.content);
  const services = servicesOf(options, readers);
  const calls = new Calls({ onFault: (method, error) => onError?.({ method, error }) });
  const limits = { readMaxBytes: largestMessage, writeMaxBytes: largestMessage, acceptCompression: [] };
  const listener = listenerFor(
    { ...limits, shutdownSignal: calls.shutdown.signal, interceptors: [calls.interceptor] },
    (router) => {
      for (const route of services.values()) route(router);
      router.service(Health, serveHealth(new Set(services.keys())));
    },
  );
  // Node's limits are for clients that are not trusted: several of the largest messages may come at once.
  // Each Read ends with a reset by a client that has all it wants, and a layer is thousands of them.
  const resets = { streamResetBurst: 1_000_000, streamResetRate: 1_000_000 };
  const server = createServer(
    { maxSessionMemory: 1024, ...resets, settings: { initialWindowSize: 4 << 20 } },
    listener,
  );
  const connections = new Connections(server, largestMessage);
  return new Server(address, { server, calls, connections, readers, socket: await listenOn(server, address) });
}

/** What makes the routes of each service there is, by the names of the services. */
function servicesOf(
  options: ServeContainerdOptions,
  readers: KeptReaders | undefined,
): ReadonlyMap<string, (router: ConnectRouter) => void> {
  const { address, snapshotters = {}, shareLayers: share = true, content, differ } = options;
  const services = new Map<string, (router: ConnectRouter) => void>();
  if (Object.keys(snapshotters).length > 0) {
    services.set(Snapshots.typeName, (router) => router.service(Snapshots, serveSnapshots(snapshotters, { share })));
  }
  if (content !== undefined && readers !== undefined) {
    services.set(Content.typeName, (router) => router.service(Content, serveContent(content, readers)));
  }
  if (differ !== undefined) services.set(Diff.typeName, (router) => router.service(Diff, serveDiff(differ)));
  if (services.size > 0) return services;
  throw new CodedError("ERR_INVALID_ARGUMENT", `socket ${address}: there is nothing to serve on it`);
}

interface ServerParts {
  readonly server: Http2Server;
  readonly calls: Calls;
  readonly connections: Connections;
  readonly readers: KeptReaders | undefined;
  readonly socket: ClaimedSocket;
}

class Server implements ContainerdServer {
  readonly address: string;
  readonly #parts: ServerParts;
  #closing: Promise<void> | undefined;

  constructor(address: string, parts: ServerParts) {
    this.address = address;
    this.#parts = parts;
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { server, calls, connections, readers, socket } = this.#parts;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await socket.remove();
    connections.finish();
    await within(closed, patienceMs);
    calls.abort();
    await within(closed, farewellMs);
    connections.cut();
    await calls.idle();
    await readers?.close();
    await closed;
  }
}

/** Waits, but not longer than that. */
async function within(event: Promise<void>, milliseconds: number): Promise<void> {
  const waiting = new AbortController();
  await Promise.race([event, sleep(milliseconds, undefined, { signal: waiting.signal }).catch(() => undefined)]);
  waiting.abort();
}
