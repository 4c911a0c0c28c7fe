import { createServer } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import type { TlsOptions } from "node:tls";

/** One request as the server saw it, with its whole body. */
export interface Seen {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly socket: Socket;
}

/** Answers one request; what it leaves unanswered stays open. */
export type Script = (seen: Seen, response: ServerResponse) => void | Promise<void>;

export interface FakeRegistry extends AsyncDisposable {
  /** Host and port, as in references. */
  readonly host: string;
  readonly url: string;
  readonly seen: Seen[];
  /** `METHOD path` of each request, in order. */
  log(): string[];
  /** Connections open now. */
  readonly sockets: Set<Socket>;
}

export interface FakeOptions {
  /** Key and certificate, or more: the server speaks https. */
  readonly tls?: (TlsOptions & { readonly key: string; readonly cert: string }) | undefined;
  /** Name to be asked by. Default: 127.0.0.1. */
  readonly name?: string | undefined;
}

/** A server on loopback that does what a script says. */
export async function fakeRegistry(script: Script, options: FakeOptions = {}): Promise<FakeRegistry> {
  const seen: Seen[] = [];
  const sockets = new Set<Socket>();
  const listener: RequestListener = (request, response) => void answer(request, response, seen, script);
  const server: Server = options.tls === undefined ? createServer(listener) : createTlsServer(options.tls, listener);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `${options.name ?? "127.0.0.1"}:${portOf(server)}`;
  return {
    host,
    url: `${options.tls === undefined ? "http" : "https"}://${host}`,
    seen,
    log: () => seen.map(({ method, path }) => `${method} ${path}`),
    sockets,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

export function portOf(server: { address(): string | { readonly port: number } | null }): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server does not listen");
  return address.port;
}

async function answer(request: IncomingMessage, response: ServerResponse, seen: Seen[], script: Script): Promise<void> {
  response.on("error", () => undefined);
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk);
  } catch {
    return;
  }
  const { method = "", url: path = "", headers } = request;
  const one: Seen = { method, path, headers, body: Buffer.concat(chunks), socket: request.socket };
  seen.push(one);
  await script(one, response);
}

export function send(
  response: ServerResponse,
  status: number,
  headers: Record<string, string | string[]> = {},
  body: string | Uint8Array = "",
): void {
  response.writeHead(status, { "content-length": String(Buffer.byteLength(body)), ...headers }).end(body);
}

export function sendError(response: ServerResponse, status: number, code: string, message: string): void {
  const body = JSON.stringify({ errors: [{ code, message }] });
  send(response, status, { "content-type": "application/json" }, body);
}

/** Answers a GET of a blob, and a range of it. */
export function sendBlob(seen: Seen, response: ServerResponse, bytes: Uint8Array): void {
  const start = Number(/^bytes=(\d+)-$/.exec(seen.headers.range ?? "")?.[1] ?? 0);
  const total = bytes.byteLength;
  if (start === 0) send(response, 200, {}, bytes);
  else if (start >= total) send(response, 416, { "content-range": `bytes */${total}` });
  else send(response, 206, { "content-range": `bytes ${start}-${total - 1}/${total}` }, bytes.subarray(start));
}

/** Says that there are `declared` bytes, sends fewer, and drops the connection. */
export function sendAndBreak(
  response: ServerResponse,
  status: number,
  headers: Record<string, string>,
  part: Uint8Array,
): void {
  response.writeHead(status, headers);
  response.write(part, () => response.destroy());
}
