import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { createRegistryResolver } from "@varve/remotes-registry";
import type { RegistryResolverOptions } from "@varve/remotes-registry";
import type { Fetcher, Resolver } from "@varve/remotes";
import type { ServerResponse } from "node:http";
import { send } from "./fake-registry.ts";
import type { Seen } from "./fake-registry.ts";

export const blob: Buffer = Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * 7) % 251));
export const layer: Descriptor = {
  mediaType: mediaTypes.ociLayerGzip,
  digest: digestOf(blob),
  size: blob.byteLength,
};
export const blobPath: string = `/v2/lib/app/blobs/${layer.digest}`;

export const manifest: Buffer = Buffer.from(
  JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: layer, layers: [layer] }),
);
export const target: Descriptor = {
  mediaType: mediaTypes.ociManifest,
  digest: digestOf(manifest),
  size: manifest.byteLength,
};
export const tagPath = "/v2/lib/app/manifests/v1";

/** A resolver that does not wait long; it is closed at the end of the scope. */
export function testResolver(options: RegistryResolverOptions = {}): Resolver & AsyncDisposable {
  const resolver = createRegistryResolver({ plainHttp: true, retryDelay: 1, ...options });
  return {
    resolve: (reference, call) => resolver.resolve(reference, call),
    fetcher: (reference) => resolver.fetcher(reference),
    pusher: (reference) => resolver.pusher(reference),
    close: () => resolver.close(),
    [Symbol.asyncDispose]: () => resolver.close(),
  };
}

async function readAll(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What a promise is rejected with; awaited later, so that the rejection is never unhandled. */
export function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

export function fetchLayer(resolver: Resolver, host: string, offset = 0): Promise<Buffer> {
  return readAll(resolver.fetcher(`${host}/lib/app:v1`).fetch(layer, { offset }));
}

export function fetchOf(fetcher: Fetcher, descriptor: Descriptor, signal?: AbortSignal): Promise<Buffer> {
  return readAll(fetcher.fetch(descriptor, { signal }));
}

/** Answers GET and HEAD of the manifest as registries do. */
export function sendManifest(seen: Seen, response: ServerResponse, headers: Record<string, string> = {}): void {
  const all = {
    "content-type": mediaTypes.ociManifest,
    "docker-content-digest": target.digest,
    "content-length": String(manifest.byteLength),
    ...headers,
  };
  send(response, 200, all, seen.method === "HEAD" ? "" : manifest);
}
