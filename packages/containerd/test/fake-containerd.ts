import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http2";
import type { Http2Server, ServerHttp2Session } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";

/** Answers as it is told, on a socket of its own. */
export interface FakeContainerd extends AsyncDisposable {
  readonly address: string;
  /** As if its process had died; the socket file stays away. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function startFake(routes: (router: ConnectRouter) => void): Promise<FakeContainerd> {
  const directory = await mkdtemp(join(tmpdir(), "varve-fake-"));
  const address = join(directory, "socket");
  const sessions = new Set<ServerHttp2Session>();
  let server: Http2Server | undefined;
  const fake: FakeContainerd = {
    address,
    async start() {
      server = createServer(connectNodeAdapter({ routes }));
      server.on("session", (session) => sessions.add(session));
      server.listen(address);
      await once(server, "listening");
    },
    async stop() {
      const closed = new Promise<void>((resolve) => server?.close(() => resolve()));
      for (const session of sessions) session.destroy();
      sessions.clear();
      await closed;
    },
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      server?.close();
      await rm(directory, { recursive: true });
    },
  };
  await fake.start();
  return fake;
}
