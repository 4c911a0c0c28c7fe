import { createServer } from "node:net";
import type { Socket } from "node:net";

/** A request, as far as an answer may depend on it. */
export interface RawRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
}

export interface RawAnswer {
  /** Written one after the other, each in its own turn of the event loop. */
  readonly pieces: readonly Uint8Array[];
  /** What becomes of the connection then. `hang`: nothing, until the client has enough. */
  readonly end: "keep" | "close" | "reset" | "hang";
}

export interface RawServer extends AsyncDisposable {
  /** Host and port, as in references. */
  readonly host: string;
  readonly url: string;
  readonly seen: readonly RawRequest[];
  /** Connections open now. */
  readonly sockets: ReadonlySet<Socket>;
}

/** Starts a server on loopback that writes whatever `answer` returns. */
export async function startRawServer(answer: (request: RawRequest) => RawAnswer): Promise<RawServer> {
  const seen: RawRequest[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    serve(socket, (request) => {
      seen.push(request);
      return answer(request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    host: `127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}`,
    seen,
    sockets,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers one request after the other, until an answer does not leave the connection for more. */
function serve(socket: Socket, answer: (request: RawRequest) => RawAnswer): void {
  let text = "";
  let isOpen = true;
  let answered = Promise.resolve();
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    for (let request = takeRequest(text); isOpen && request !== undefined; request = takeRequest(text)) {
      text = request.rest;
      const next = answer(request);
      isOpen = next.end === "keep";
      answered = answered.then(() => write(socket, next));
    }
  });
}

/** The first whole request of `text`; bodies are read, and thrown away. */
function takeRequest(text: string): (RawRequest & { readonly rest: string }) | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end === -1) return undefined;
  const [first = "", ...lines] = text.slice(0, end).split("\r\n");
  const [method = "", path = ""] = first.split(" ");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const body = text.slice(end + 4);
  const length = bodyLength(headers, body);
  return length === undefined ? undefined : { method, path, headers, rest: body.slice(length) };
}

function bodyLength(headers: ReadonlyMap<string, string>, body: string): number | undefined {
  if (headers.get("transfer-encoding") === "chunked") {
    const last = body.indexOf("0\r\n\r\n");
    return last === -1 ? undefined : last + 5;
  }
  const length = Number(headers.get("content-length") ?? 0);
  return body.length < length ? undefined : length;
}

async function write(socket: Socket, { end, pieces }: RawAnswer): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return;
    if (!socket.write(piece)) await drained(socket);
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (end === "close") socket.end();
  else if (end === "reset") socket.resetAndDestroy();
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once("drain", resolve);
    socket.once("close", () => resolve());
  });
}
