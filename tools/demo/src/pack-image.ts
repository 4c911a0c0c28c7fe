import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { createGzip } from "node:zlib";
import type { ContentStore } from "@varve/content";
import { writeBlob } from "@varve/content";
import { createDigester, digestOf } from "@varve/digest";
import type { Digest, Digester } from "@varve/digest";
import { defaultPlatform, mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { pack } from "tar-stream";
import type { HostFile } from "./host-files.ts";

/** Packs each list of files as one gzip layer, writes the image into `content` and returns its manifest. */
export async function packImage(
  content: ContentStore,
  layers: readonly (readonly HostFile[])[],
  command: readonly string[],
): Promise<Descriptor> {
  const packed = [];
  for (const files of layers) packed.push(await packLayer(content, files));
  const { os, architecture } = defaultPlatform();
  const config = await putJson(content, mediaTypes.ociConfig, {
    architecture,
    os,
    config: { Cmd: command },
    rootfs: { type: "layers", diff_ids: packed.map(({ diffId }) => diffId) },
  });
  return putJson(content, mediaTypes.ociManifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config,
    layers: packed.map(({ descriptor }) => descriptor),
  });
}

async function packLayer(
  content: ContentStore,
  files: readonly HostFile[],
): Promise<{ descriptor: Descriptor; diffId: Digest }> {
  const tar = pack();
  const diffId = createDigester();
  const blob = createDigester();
  const compressed = Readable.from(hashed(tar as AsyncIterable<Uint8Array>, diffId)).pipe(createGzip({ level: 1 }));
  const added = addEntries(tar, files);
  const digest = await writeBlob(content, `demo-${files[0]?.path ?? "empty"}`, hashed(compressed, blob));
  await added;
  return { descriptor: { mediaType: mediaTypes.ociLayerGzip, digest, size: blob.size }, diffId: diffId.digest() };
}

async function* hashed(source: AsyncIterable<Uint8Array>, digester: Digester): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    digester.update(chunk);
    yield chunk;
  }
}

async function addEntries(tar: ReturnType<typeof pack>, files: readonly HostFile[]): Promise<void> {
  for (const file of files) {
    const name = file.path.slice(1);
    if (file.type === "directory") tar.entry({ name: `${name}/`, type: "directory", mode: file.mode });
    else if (file.type === "link") tar.entry({ name, type: "symlink", linkname: file.target });
    else await addFile(tar, name, file.source, file.mode);
  }
  tar.finalize();
}

async function addFile(tar: ReturnType<typeof pack>, name: string, source: string, mode: number): Promise<void> {
  const { size } = await stat(source);
  await new Promise<void>((resolve, reject) => {
    const entry = tar.entry({ name, mode, size }, (error) => (error ? reject(error) : resolve()));
    createReadStream(source).on("error", reject).pipe(entry);
  });
}

async function putJson(content: ContentStore, mediaType: string, document: unknown): Promise<Descriptor> {
  const bytes = new TextEncoder().encode(JSON.stringify(document));
  const digest = digestOf(bytes);
  await writeBlob(content, `demo-${digest}`, bytes, { expected: { digest, size: bytes.length } });
  return { mediaType, digest, size: bytes.length };
}
