import { connect, createServer } from "node:net";
import type { Socket } from "node:net";

/** Passes connections on to a registry, counts what clients send, and cuts where it is told to. */
export interface UploadProxy extends AsyncDisposable {
  readonly host: string;
  /** Bytes that were passed on to the registry. */
  readonly passed: number;
  readonly cuts: number;
  /** Ends the connection on which so many bytes have been passed on, of all connections. */
  cutAt(passed: number): void;
  /** Ends the connection instead of passing on a request of this method, the one with this number, counted from 1. */
  cutBefore(method: string, number: number): void;
}

/** What is sent is passed on piece by piece, so that a cut comes where it is meant to. */
const pieceSize = 16 * 1024;

export async function startUploadProxy(registry: string): Promise<UploadProxy> {
  const [hostname = "", port = ""] = registry.split(":");
  const sockets = new Set<Socket>();
  const places: number[] = [];
  const refused = new Set<string>();
  const requests = new Map<string, number>();
  let passed = 0;
  let cuts = 0;

  /** Whether a piece that begins a request is to be refused. */
  function refuses(piece: Buffer): boolean {
    const method = /^([A-Z]{3,6}) \//.exec(piece.subarray(0, 8).toString("latin1"))?.[1];
    if (method === undefined) return false;
    const number = (requests.get(method) ?? 0) + 1;
    requests.set(method, number);
    return refused.has(`${method} ${number}`);
  }

  async function pass(client: Socket, server: Socket): Promise<void> {
    for await (const chunk of client) {
      const bytes: Buffer = chunk;
      for (let at = 0; at < bytes.byteLength; at += pieceSize) {
        const piece = bytes.subarray(at, at + pieceSize);
        const refuse = at === 0 && refuses(piece);
        if (!refuse) {
          passed += piece.byteLength;
          if (!server.write(piece))
            await new Promise((resolve) => server.once("drain", resolve).once("close", resolve));
        }
        if (!refuse && passed < (places[0] ?? Number.POSITIVE_INFINITY)) continue;
        if (!refuse) places.shift();
        cuts += 1;
        // What was passed on arrives first.
        server.end();
        client.destroy();
        return;
      }
    }
    server.end();
  }

  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
    }
    upstream.pipe(client);
    upstream.on("close", () => client.destroy());
    pass(client, upstream).catch(() => upstream.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    host: `127.0.0.1:${address.port}`,
    get passed() {
      return passed;
    },
    get cuts() {
      return cuts;
    },
    cutAt: (place) => void places.push(place),
    cutBefore: (method, number) => void refused.add(`${method} ${number}`),
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
