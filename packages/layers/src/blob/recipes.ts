import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { compress } from "@varve/compression";
import type { Compression } from "@varve/compression";
import { layerCompression, mediaTypes } from "@varve/oci";

/** A way to compress a layer. The same tar gives the same bytes with the same Node. */
export type BlobRecipe = CompressRecipe | ZlibRecipe;

/** `compress` of `@varve/compression`, which writes all layers of varve. */
interface CompressRecipe {
  readonly writer: "compress";
  readonly compression: Compression;
  /** 1 to 9 for gzip, 1 to 19 for zstd. Not for `none`. */
  readonly level?: number | undefined;
}

/** One stream of Node's zlib, as other programs on Node write it. */
interface ZlibRecipe {
  readonly writer: "zlib";
  readonly compression: "gzip";
  /** 0 to 9. */
  readonly level?: number | undefined;
}

const compressed =
  (compression: "gzip" | "zstd") =>
  (level: number): BlobRecipe => ({ writer: "compress", compression, level });
const zlib = (level: number): BlobRecipe => ({ writer: "zlib", compression: "gzip", level });

const plain: readonly BlobRecipe[] = [{ writer: "compress", compression: "none" }];
/** What is most often asked for comes first. Level -1 of zlib is 6. */
const gzip: readonly BlobRecipe[] = [
  ...[6, 9, 1].flatMap((level) => [compressed("gzip")(level), zlib(level)]),
  ...[5, 7, 8, 4, 3, 2].map(compressed("gzip")),
];
const zstd: readonly BlobRecipe[] = [3, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19].map(
  compressed("zstd"),
);

/**
 * What may have made a blob of this type; never empty. The first one of a type that names its compression is the one that a new blob
 * of it is written with.
 */
export function recipesFor(mediaType: string): readonly BlobRecipe[] {
  const recipes: Readonly<Record<Compression, readonly BlobRecipe[]>> = { gzip, none: plain, zstd };
  const compression = layerCompression(mediaType);
  // Such types were used for layers of either form.
  return compression === undefined ? [...gzip, ...plain] : recipes[compression];
}

/** The type of a new blob: the one that the layer had, if it still fits. */
export function typeOfNew(mediaType: string | undefined, compression: Compression): string {
  if (mediaType !== undefined && layerCompression(mediaType) === compression) return mediaType;
  const isDocker = mediaType?.startsWith("application/vnd.docker.") ?? false;
  const types: Readonly<Record<Compression, string>> = isDocker
    ? { gzip: mediaTypes.dockerLayerGzip, none: mediaTypes.dockerLayer, zstd: mediaTypes.dockerLayerZstd }
    : { gzip: mediaTypes.ociLayerGzip, none: mediaTypes.ociLayer, zstd: mediaTypes.ociLayerZstd };
  return types[compression];
}

/** Compresses an archive. With `reuse` a chunk is valid only until the next one is asked for. */
export async function* packed(
  tar: AsyncGenerator<Uint8Array, void, undefined>,
  { compression, level, writer }: BlobRecipe,
  { reuse, signal }: { readonly reuse: boolean; readonly signal: AbortSignal | undefined },
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    if (writer === "compress") yield* compress(tar, { compression, level, reuse, signal });
    else yield* oneStream(tar, level, signal);
  } finally {
    // Whoever compresses need not have waited for its source to end, and until then the layer is mounted.
    await tar.return();
  }
}

async function* oneStream(
  tar: AsyncIterable<Uint8Array>,
  level: number | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const engine = createGzip(level === undefined ? {} : { level });
  const feeding = pipeline(copies(tar), engine, { signal });
  // It is awaited below, where it may have failed long before.
  feeding.catch(() => undefined);
  try {
    for await (const chunk of engine) yield chunk;
    await feeding;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    engine.destroy();
    // The archive is not left open.
    await feeding.catch(() => undefined);
  }
}

/** Streams read ahead, and a chunk of the archive is valid only until the next one. */
async function* copies(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of source) yield Buffer.from(chunk);
}
