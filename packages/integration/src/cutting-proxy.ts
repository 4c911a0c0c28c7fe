import { readFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Passes connections on to a server, counts what the server sends, and cuts where it is told to. */
export interface CuttingProxy extends AsyncDisposable {
  readonly host: string;
  /** Bytes that went to clients so far, of all connections. */
  readonly sent: number;
  /** Called once when so many bytes have been sent; nothing goes through until it has settled. */
  cutAt(sent: number, cut: (connection: Socket) => Promise<void> | void): void;
}

interface Cut {
  readonly at: number;
  readonly run: (connection: Socket) => Promise<void> | void;
}

/** So much is sent at a time, so that a cut comes where it is meant to. */
const pieceSize = 64 * 1024;
/** After so many bytes is looked how many of them wait in the client's system, and so many may. */
const lookEvery = 512 * 1024;
const maxUnread = 512 * 1024;
/** Bytes at most that wait in the systems between the two when a connection is cut, and are lost with it. */
export const mostOnTheWay: number = maxUnread + lookEvery + pieceSize;

/**
 * @param rate bytes a second on each connection. Whatever it is, nothing is sent while much is unread: this is a network that is
 * slower than who reads from it, also on a machine that has a lot to do. What waits in the system's buffers is lost with their connection.
 */
export async function startCuttingProxy(upstream: string, rate: number): Promise<CuttingProxy> {
  const [hostname, port] = upstream.split(":");
  const cuts: Cut[] = [];
  let sent = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const origin = connect(Number(port), hostname);
    for (const socket of [client, origin]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        origin.destroy();
      });
    }
    client.pipe(origin);
    void pass(origin, client);
  });

  async function pass(origin: Socket, client: Socket): Promise<void> {
    const startedAt = performance.now();
    let own = 0;
    try {
      for await (const chunk of origin) {
        const bytes: Buffer = chunk;
        for (let at = 0; at < bytes.byteLength && !client.destroyed; at += pieceSize) {
          const piece = bytes.subarray(at, at + pieceSize);
          client.write(piece);
          sent += piece.byteLength;
          own += piece.byteLength;
          while (!client.destroyed && cuts[0] !== undefined && sent >= cuts[0].at) await cuts.shift()?.run(client);
          const ahead = (own / rate) * 1000 - (performance.now() - startedAt);
          if (ahead > 2) await sleep(ahead);
          if (own % lookEvery >= piece.byteLength) continue;
          while (!client.destroyed && (await unreadBy(client)) > maxUnread) await sleep(2);
        }
      }
      client.end();
    } catch {
      client.destroy();
    }
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    host: `127.0.0.1:${address.port}`,
    get sent() {
      return sent;
    },
    cutAt: (at, run) => void cuts.push({ at, run }),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Bytes that were sent on a connection and not read yet, at both its ends. */
async function unreadBy(client: Socket): Promise<number> {
  const [near, far] = [client.localPort, client.remotePort].map((port = 0) =>
    port.toString(16).toUpperCase().padStart(4, "0"),
  );
  const table = await readFile("/proc/net/tcp", "utf8");
  // sl local:port remote:port state tx_queue:rx_queue …
  const pattern = /^\s*\d+: \w+:(\w{4}) \w+:(\w{4}) \w\w (\w{8}):(\w{8})/gm;
  let unread = client.writableLength;
  for (const [, local, remote, toSend = "0", toRead = "0"] of table.matchAll(pattern)) {
    if (local === near && remote === far) unread += Number.parseInt(toSend, 16);
    if (local === far && remote === near) unread += Number.parseInt(toRead, 16);
  }
  return unread;
}
