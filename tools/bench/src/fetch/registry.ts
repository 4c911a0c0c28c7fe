import { createHash, randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { startDockerRegistry } from "@varve-tools/corpus";
import type { DockerRegistry } from "@varve-tools/corpus";
import { digestOf, parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";

const gibibyte = 2 ** 30;
const blockSize = 8 * 1024 * 1024;
const smallLayers = 60;
const smallSize = 48 * 1024;
/** With the config and the manifest. */
export const smallBlobs: number = smallLayers + 2;

/** Where tasks find the registry, and the blob in it. */
export const hostVariable = "VARVE_BENCH_REGISTRY";
export const largeVariable = "VARVE_BENCH_LARGE_BLOB";
export const largeSize: number = gibibyte;
export const repositories = { large: "bench/large", small: "bench/small" } as const;

/** docker-registry on loopback with one large blob, and an image of many small layers. All of it is random bytes. */
export async function startBenchRegistry(): Promise<DockerRegistry> {
  const registry = await startDockerRegistry();
  try {
    process.env[hostVariable] = registry.host;
    process.env[largeVariable] = await putLargeBlob(`http://${registry.host}/v2/${repositories.large}`);
    await putSmallLayers(`http://${registry.host}/v2/${repositories.small}`);
  } catch (error) {
    await registry.close();
    throw error;
  }
  return registry;
}

async function putLargeBlob(repository: string): Promise<Digest> {
  const blocks = Array.from({ length: 4 }, () => randomBytes(blockSize));
  const all = function* (): Generator<Buffer, void, undefined> {
    for (let at = 0; at < gibibyte; at += blockSize) {
      const block = blocks[(at / blockSize) % blocks.length];
      if (block !== undefined) yield block;
    }
  };
  const hash = createHash("sha256");
  for (const block of all()) hash.update(block);
  const digest = parseDigest(`sha256:${hash.digest("hex")}`);
  await putBlob(repository, digest, ReadableStream.from(all()));
  return digest;
}

async function putSmallLayers(repository: string): Promise<void> {
  const contents = Array.from({ length: smallLayers }, () => randomBytes(smallSize));
  const layers: Descriptor[] = [];
  for (const content of contents) {
    layers.push(await putBytes(repository, mediaTypes.ociLayerGzip, gzipSync(content, { level: 1 })));
  }
  const rootfs = { type: "layers", diff_ids: contents.map((content) => digestOf(content)) };
  const config = Buffer.from(JSON.stringify({ os: "linux", architecture: "amd64", rootfs }));
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: await putBytes(repository, mediaTypes.ociConfig, config),
    layers,
  };
  await put(`${repository}/manifests/latest`, JSON.stringify(manifest), mediaTypes.ociManifest);
}

async function putBytes(repository: string, mediaType: string, bytes: Buffer): Promise<Descriptor> {
  const digest = digestOf(bytes);
  await putBlob(repository, digest, bytes);
  return { mediaType, digest, size: bytes.byteLength };
}

async function putBlob(repository: string, digest: Digest, body: NonNullable<RequestInit["body"]>): Promise<void> {
  const session = await fetch(`${repository}/blobs/uploads/`, { method: "POST" });
  const upload = new URL(session.headers.get("location") ?? "", repository);
  upload.searchParams.set("digest", digest);
  await put(upload.href, body, "application/octet-stream");
}

async function put(url: string, body: NonNullable<RequestInit["body"]>, type: string): Promise<void> {
  const reply = await fetch(url, { method: "PUT", body, headers: { "content-type": type }, duplex: "half" });
  if (!reply.ok) throw new Error(`PUT ${url}: ${reply.status} ${await reply.text()}`);
}
