import { connect, createServer } from "node:net";
import type { Socket } from "node:net";

/** Passes connections on to a server, and counts. */
export interface Relay extends AsyncDisposable {
  readonly host: string;
  /** Bytes that came from the server so far. */
  readonly bytes: number;
  /** Connections that were cut. */
  readonly cuts: number;
}

/** A way to `target` on loopback. `cutAfter` ends each connection after that many bytes from the server. */
export async function startRelay(target: string, options: { readonly cutAfter?: number } = {}): Promise<Relay> {
  const { cutAfter = Infinity } = options;
  const [address = "", port = ""] = target.split(":");
  const sockets = new Set<Socket>();
  let bytes = 0;
  let cuts = 0;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    const upstream = connect(Number(port), address);
    [client, upstream].forEach(keep);
    let passed = 0;
    client.pipe(upstream);
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.end());
    upstream.on("data", (chunk: Buffer) => {
      const part = chunk.subarray(0, cutAfter - passed);
      passed += part.length;
      bytes += part.length;
      if (!client.write(part)) {
        upstream.pause();
        client.once("drain", () => upstream.resume());
      }
      if (passed < cutAfter) return;
      cuts += 1;
      upstream.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const own = server.address();
  if (own === null || typeof own === "string") throw new Error("no port");
  return {
    host: `127.0.0.1:${own.port}`,
    get bytes() {
      return bytes;
    },
    get cuts() {
      return cuts;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
