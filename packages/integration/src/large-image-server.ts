import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { digestOf, parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { mediaTypes } from "@varve/oci";

/** A registry with one image, whose one layer is large and cannot be compressed. It keeps no file. */
export interface LargeImageServer extends AsyncDisposable {
  readonly host: string;
  readonly layer: Digest;
  /** From where on the layer was asked for, request by request. */
  readonly starts: readonly number[];
}

const blockSize = 8 * 1024 * 1024;
const chunkSize = 256 * 1024;

export async function startLargeImageServer(size: number): Promise<LargeImageServer> {
  // An odd length, so that no power of two makes two places look alike.
  const block = createHash("shake256", { outputLength: blockSize + 1 })
    .update("varve")
    .digest();
  const hash = createHash("sha256");
  for (const chunk of chunks(block, 0, size)) hash.update(chunk);
  const layer = parseDigest(`sha256:${hash.digest("hex")}`);
  const config = Buffer.from(
    JSON.stringify({ os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [layer] } }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, digest: digestOf(config), size: config.byteLength },
      layers: [{ mediaType: mediaTypes.ociLayer, digest: layer, size }],
    }),
  );
  const starts: number[] = [];
  const server = createServer((request, response) => {
    response.on("error", () => undefined);
    const path = request.url ?? "";
    if (path.includes("/manifests/")) sendSmall(request, response, manifest, mediaTypes.ociManifest);
    else if (path.endsWith(digestOf(config))) sendSmall(request, response, config, "application/octet-stream");
    else if (path.endsWith(layer)) {
      const from = rangeStart(request);
      starts.push(from ?? 0);
      sendLarge(response, chunks(block, from ?? 0, size), size, from);
    } else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    host: `127.0.0.1:${address.port}`,
    layer,
    starts,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function* chunks(block: Buffer, from: number, to: number): Generator<Buffer, void, undefined> {
  for (let at = from; at < to;) {
    const start = at % block.byteLength;
    const chunk = block.subarray(start, Math.min(start + chunkSize, start + to - at));
    at += chunk.byteLength;
    yield chunk;
  }
}

function sendSmall(request: IncomingMessage, response: ServerResponse, bytes: Buffer, type: string): void {
  const headers = {
    "content-type": type,
    "content-length": bytes.byteLength,
    "docker-content-digest": digestOf(bytes),
  };
  response.writeHead(200, headers).end(request.method === "HEAD" ? undefined : bytes);
}

function rangeStart(request: IncomingMessage): number | undefined {
  const from = /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
  return from === undefined ? undefined : Number(from);
}

function sendLarge(
  response: ServerResponse,
  rest: Iterator<Buffer, void>,
  size: number,
  from: number | undefined,
): void {
  const headers = { "content-length": size - (from ?? 0), "content-type": "application/octet-stream" };
  if (from === undefined) response.writeHead(200, headers);
  else response.writeHead(206, { ...headers, "content-range": `bytes ${from}-${size - 1}/${size}` });
  const more = (): void => {
    for (let next = rest.next(); ; next = rest.next()) {
      if (next.done === true) return void response.end();
      if (!response.write(next.value)) return void response.once("drain", more);
    }
  };
  more();
}
