import { streamBlob, readBlob } from "@varve/content";
import { detectCompression, decompress, sniffLength } from "@varve/compression";
import type { Compression } from "@varve/compression";
import { digestAlgorithm, digestOf, digestStream } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { mediaTypes, parseImageConfig } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { ArchivedImage, ImportOptions } from "../image-archive.ts";
import { about, entryError, quote } from "../subject.ts";
import type { ArchiveFiles, StoredFile } from "./archive-files.ts";
import { readDockerManifest } from "./docker-manifest.ts";
import type { DockerImage } from "./docker-manifest.ts";
import { once, storeBlob } from "./store-blob.ts";

const layerTypes: Readonly<Record<Compression, string>> = {
  none: mediaTypes.dockerLayer,
  gzip: mediaTypes.dockerLayerGzip,
  zstd: mediaTypes.dockerLayerZstd,
};

/**
 * The images that `manifest.json` lists. Each gets a Docker schema 2 manifest, byte by byte the one that containerd makes of
 * it, so both give the image one digest. Every layer is held against the config's diff ID.
 *
 * @throws ERR_INVALID_DATA malformed, or files that are not there
 * @throws ERR_DIGEST_MISMATCH a layer is not what the config says
 */
export async function dockerImages(
  bytes: Uint8Array,
  files: ArchiveFiles,
  options: ImportOptions,
): Promise<readonly ArchivedImage[]> {
  const reading = new DockerReading(files, options);
  const images: ArchivedImage[] = [];
  for (const image of readDockerManifest(bytes, `archive: entry ${quote("manifest.json")}`)) {
    images.push({ names: image.names, tags: [], target: await reading.manifestOf(image) });
  }
  return images;
}

class DockerReading {
  readonly #files: ArchiveFiles;
  readonly #options: ImportOptions;
  // Many images can name one config and one layer: each is read once.
  readonly #diffIds: Map<Digest, readonly Digest[]> = new Map();
  readonly #compressions: Map<Digest, Compression> = new Map();
  readonly #verified: Set<string> = new Set();
  /** Bytes that compressed layers were so far. */
  #inflated = 0;

  constructor(files: ArchiveFiles, options: ImportOptions) {
    this.#files = files;
    this.#options = options;
  }

  async manifestOf(image: DockerImage): Promise<Descriptor> {
    const config = this.#files.find(image.config);
    const diffIds = await this.#readDiffIds(image.config, config);
    if (diffIds.length !== image.layers.length) {
      const why = `${diffIds.length} layers, ${quote("manifest.json")} has ${image.layers.length}`;
      throw entryError(image.config, why);
    }
    const layers: object[] = [];
    for (const [index, diffId] of diffIds.entries()) layers.push(await this.#layer(image.layers[index] ?? "", diffId));
    return this.#store({
      schemaVersion: 2,
      mediaType: mediaTypes.dockerManifest,
      config: { mediaType: mediaTypes.dockerConfig, digest: config.digest, size: config.size },
      layers,
    });
  }

  async #readDiffIds(path: string, config: StoredFile): Promise<readonly Digest[]> {
    const known = this.#diffIds.get(config.digest);
    if (known !== undefined) return known;
    const { content, signal } = this.#options;
    const descriptor = { ...config, mediaType: mediaTypes.dockerConfig };
    const { rootfs } = await about(`archive: entry ${quote(path)}`, async () =>
      parseImageConfig(await readBlob(content, descriptor, { signal })),
    );
    this.#diffIds.set(config.digest, rootfs.diff_ids);
    return rootfs.diff_ids;
  }

  async #layer(path: string, diffId: Digest): Promise<object> {
    const file = this.#files.find(path);
    const compression = this.#compressions.get(file.digest) ?? (await this.#compressionOf(file));
    this.#compressions.set(file.digest, compression);
    const pair = `${file.digest} ${diffId}`;
    if (!this.#verified.has(pair)) await this.#verify(path, file, { compression, diffId });
    this.#verified.add(pair);
    return { mediaType: layerTypes[compression], digest: file.digest, size: file.size };
  }

  async #verify(
    path: string,
    file: StoredFile,
    { compression, diffId }: { readonly compression: Compression; readonly diffId: Digest },
  ): Promise<void> {
    if (compression === "none" && file.digest === diffId) return;
    const subject = `archive: entry ${quote(path)}`;
    const actual = await this.#diffIdOf(file, { compression, diffId, subject });
    if (actual === diffId) return;
    throw new CodedError("ERR_DIGEST_MISMATCH", `${subject}: its diff ID is ${actual}, the config says ${diffId}`);
  }

  async #diffIdOf(
    file: StoredFile,
    wanted: { readonly compression: Compression; readonly diffId: Digest; readonly subject: string },
  ): Promise<Digest> {
    const { compression, diffId, subject } = wanted;
    const algorithm = digestAlgorithm(diffId);
    if (compression === "none" && algorithm === digestAlgorithm(file.digest)) return file.digest;
    const { content, signal } = this.#options;
    const bytes = streamBlob(content, { ...file, mediaType: mediaTypes.dockerLayer }, { signal });
    return digestStream(this.#counted(decompress(bytes, { compression, signal, subject }), subject), algorithm);
  }

  /** Of many layers each could be just within the limit: together they must be. */
  async *#counted(bytes: AsyncIterable<Uint8Array>, subject: string): AsyncGenerator<Uint8Array, void, undefined> {
    const { maxBytes = Infinity } = this.#options;
    for await (const chunk of bytes) {
      this.#inflated += chunk.length;
      if (this.#inflated > maxBytes) {
        throw new CodedError("ERR_RESOURCE_EXHAUSTED", `${subject}: more than ${maxBytes} bytes (maxBytes)`);
      }
      yield chunk;
    }
  }

  async #compressionOf(file: StoredFile): Promise<Compression> {
    const { content, signal } = this.#options;
    const reader = await content.open({ ...file, mediaType: mediaTypes.dockerLayer }, { signal });
    try {
      const head = new Uint8Array(sniffLength);
      return detectCompression(head.subarray(0, await reader.read(head, 0, { signal })));
    } finally {
      await reader.close();
    }
  }

  async #store(manifest: object): Promise<Descriptor> {
    const { content, onBlob, signal } = this.#options;
    const bytes = Buffer.from(JSON.stringify(manifest));
    const [digest, size] = [digestOf(bytes), bytes.length];
    const source = { content, subject: `manifest ${digest}`, ref: `import-${digest}`, digest, size, signal };
    await storeBlob(once(bytes), source);
    onBlob?.({ digest, size });
    return { mediaType: mediaTypes.dockerManifest, digest, size };
  }
}
