import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { Shelf } from "./shelf.ts";

/** Answers a request for a blob, in whatever way. */
export type Answer = (response: ServerResponse, bytes: Uint8Array, from: number) => Promise<void> | void;

/** A registry on loopback that has what is on a shelf. */
export interface ShelfServer extends AsyncDisposable {
  readonly host: string;
  /** How to answer for some blobs; others are sent. */
  readonly answers: Map<Digest, Answer>;
  /** How often each blob was asked for. */
  readonly asked: Map<Digest, number>;
  /** Requests that are not answered to their end, and whose connection is not gone. */
  readonly open: number;
}

export async function serveShelf(shelf: Shelf): Promise<ShelfServer> {
  const answers = new Map<Digest, Answer>();
  const asked = new Map<Digest, number>();
  const open = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    open.add(response);
    response.on("error", () => undefined).on("close", () => open.delete(response));
    const tag = /\/manifests\/(.+)$/.exec(request.url ?? "")?.[1];
    if (tag !== undefined) return sendManifest(shelf, tag, request, response);
    const digest = parseDigest(/[^/]*$/.exec(request.url ?? "")?.[0] ?? "");
    asked.set(digest, (asked.get(digest) ?? 0) + 1);
    const bytes = shelf.bytes.get(digest) ?? new Uint8Array();
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    void (answers.get(digest) ?? sendBlob)(response, bytes, from);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    host: `127.0.0.1:${address.port}`,
    answers,
    asked,
    get open() {
      return open.size;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** As a registry should. */
export function sendBlob(response: ServerResponse, bytes: Uint8Array, from: number): void {
  beginBlob(response, bytes, from);
  response.end(bytes.subarray(from));
}

/** The headers alone. */
export function beginBlob(response: ServerResponse, bytes: Uint8Array, from: number): void {
  const headers = { "content-length": bytes.length - from, "content-type": "application/octet-stream" };
  if (from === 0) response.writeHead(200, headers);
  else response.writeHead(206, { ...headers, "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` });
}

function sendManifest(shelf: Shelf, tag: string, request: IncomingMessage, response: ServerResponse): void {
  const manifest = shelf.manifest(tag);
  const bytes = manifest === undefined ? undefined : shelf.bytes.get(manifest.digest);
  if (manifest === undefined || bytes === undefined) return void response.writeHead(404).end();
  const { digest, mediaType, size } = manifest;
  response.writeHead(200, { "content-length": size, "content-type": mediaType, "docker-content-digest": digest });
  response.end(request.method === "HEAD" ? undefined : bytes);
}
