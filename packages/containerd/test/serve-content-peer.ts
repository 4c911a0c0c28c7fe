import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http2";
import type { ServerHttp2Session } from "node:http2";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import type { Client, ConnectRouter, Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import type { ContentStore } from "@varve/content";
import { Content } from "../src/gen/containerd/services/content/v1/content_pb.js";
// One service on a socket of its own, to see what becomes of a call in it.
import { Calls } from "../src/serve/calls.ts";
import { KeptReaders } from "../src/serve/kept-readers.ts";
import { listenerFor } from "../src/serve/routes.ts";
import { serveContent } from "../src/serve/serve-content.ts";

/** A server, and the transport of a client that can be cut off. */
export interface Peer extends AsyncDisposable {
  readonly transport: Transport;
  /** What failed on the server's side by no fault of the client. */
  readonly faults: readonly unknown[];
  /** As if the client's process had died. */
  cut(): void;
  /** As if the connection had broken for the server. */
  drop(): void;
  /** Settles when the server has no call under way. */
  idle(): Promise<void>;
}

export async function startPeer(services: (router: ConnectRouter) => void): Promise<Peer> {
  const directory = await mkdtemp(join(tmpdir(), "varve-peer-"));
  const path = join(directory, "socket");
  const faults: unknown[] = [];
  const calls = new Calls({ onFault: (method, error) => faults.push(method, error) });
  const server = createServer(listenerFor({ interceptors: [calls.interceptor] }, services));
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => sessions.add(session));
  server.listen(path);
  await once(server, "listening");
  const manager = new Http2SessionManager("http://containerd", undefined, { createConnection: () => connect(path) });
  return {
    transport: createGrpcTransport({ baseUrl: "http://containerd", sessionManager: manager }),
    faults,
    cut: () => manager.abort(),
    drop: () => {
      for (const session of sessions) session.destroy();
    },
    idle: () => calls.idle(),
    [Symbol.asyncDispose]: async () => {
      manager.abort();
      for (const session of sessions) session.destroy();
      server.close();
      await rm(directory, { recursive: true });
    },
  };
}

export interface ContentPeer extends Peer {
  readonly client: Client<typeof Content>;
  readonly readers: KeptReaders;
}

export async function startContentPeer(content: ContentStore): Promise<ContentPeer> {
  const readers = new KeptReaders(content);
  const services = (router: ConnectRouter): void => {
    router.service(Content, serveContent(content, readers));
  };
  const peer = await startPeer(services);
  return { ...peer, readers, client: createClient(Content, peer.transport) };
}
