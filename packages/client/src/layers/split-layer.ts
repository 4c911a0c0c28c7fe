import type { TarSplitterOptions } from "@varve/archive";
import type { Compression } from "@varve/compression";
import { createDigester } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { existingDirectory } from "./existing-directory.ts";
import { subjectOf } from "./list-layer.ts";
import type { LayerInfo, ReadLayerOptions } from "./list-layer.ts";

export interface SplitLayerOptions extends ReadLayerOptions {
  /**
   * Where the layer was applied. Contents that later entries of the layer have replaced there are kept in the records; the layer
   * is read twice for it. Default: nobody looks, and a layer that names a file twice is refused.
   */
  readonly directory?: string | undefined;
  /** Of the records. Default `gzip`, as in files called `tar-split.json.gz`. */
  readonly compression?: Compression | undefined;
}

/**
 * Records everything of a layer's tar that its files do not say, in the format of tar-split (moby, containers/storage), and hands
 * the records to `consume`, which reads them to the end. With the records and the applied files `joinLayer` gives the tar again.
 *
 * @param layer gives its bytes, compressed or not, from the first one on
 * @throws ERR_INVALID_DATA the stream is malformed or ends too early
 * @throws ERR_NOT_IMPLEMENTED the layer names a file twice, and there is no directory to look what became of it
 * @throws ERR_ABORTED `consume` stopped before the end
 */
export async function splitLayer(
  layer: () => AsyncIterable<Uint8Array>,
  consume: (records: AsyncIterable<Uint8Array>) => Promise<void>,
  options: SplitLayerOptions = {},
): Promise<LayerInfo> {
  const { compression = "gzip", directory, signal } = options;
  const { compress } = await import("@varve/compression");
  const lost = directory === undefined ? undefined : await lostOffsets(layer(), directory, options);
  let info: LayerInfo | undefined;
  const recording = {
    ...options,
    inline: lost === undefined ? undefined : ({ offset }: { readonly offset: number }) => lost.has(offset),
    onEnd: (result: LayerInfo) => (info = result),
  };
  await consume(compress(recordsOf(layer(), recording), { compression, signal }));
  if (info === undefined) throw new CodedError("ERR_ABORTED", "tar-split records: were not read to their end");
  return info;
}

export interface JoinLayerOptions {
  /** Rejects with the signal's own reason. */
  readonly signal?: AbortSignal | undefined;
  /** What the tar must come to; the stream fails at its end if it does not. Default: it is not compared. */
  readonly diffId?: Digest | undefined;
}

/**
 * Gives the exact tar that was split, from its records (plain or compressed) and a directory with its files: the layer alone,
 * or with others below it. Each file is held against its checksum. If the stream fails, what it has given is not the tar.
 * A chunk is valid until the next one is asked for.
 *
 * @throws ERR_NOT_FOUND, ERR_INVALID_ARGUMENT the directory is not there, or none
 * @throws ERR_INVALID_DATA the records are malformed
 * @throws ERR_DATA_LOSS a file is gone, or not what it was, or the tar has another diff ID
 */
export async function* joinLayer(
  records: AsyncIterable<Uint8Array>,
  directory: string,
  options: JoinLayerOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { diffId, signal } = options;
  const root = await existingDirectory(directory);
  const { joinTar, treeFiles } = await import("@varve/archive");
  const { decompress } = await import("@varve/compression");
  const files = treeFiles(root);
  try {
    yield* joinTar(decompress(records, { signal }), files, { diffId, signal });
  } finally {
    files.close();
  }
}

/** Where the contents are, in the archive, that a directory has not got. */
async function lostOffsets(
  layer: AsyncIterable<Uint8Array>,
  directory: string,
  options: ReadLayerOptions,
): Promise<ReadonlySet<number>> {
  const { name, signal } = options;
  const root = await existingDirectory(directory);
  const { lostFiles, treeFiles } = await import("@varve/archive");
  const offsets = new Set<number>();
  const files = treeFiles(root);
  try {
    // What is lost is what is looked for.
    const records = recordsOf(layer, { name, signal, inline: () => false });
    for await (const { offset } of lostFiles(records, files, { signal, subject: subjectOf(name) })) offsets.add(offset);
  } finally {
    files.close();
  }
  return offsets;
}

interface RecordOptions extends ReadLayerOptions {
  /** Which contents are kept in the records; without it, none may be lost. */
  readonly inline: TarSplitterOptions["inline"];
  readonly onEnd?: ((info: LayerInfo) => void) | undefined;
}

async function* recordsOf(
  layer: AsyncIterable<Uint8Array>,
  options: RecordOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { inline, onEnd, signal } = options;
  const subject = subjectOf(options.name);
  const { createTarSplitter } = await import("@varve/archive");
  const { decompress } = await import("@varve/compression");
  let records: Uint8Array[] = [];
  const digester = createDigester();
  const splitter = createTarSplitter((record) => records.push(record), { inline, subject });
  try {
    for await (const block of decompress(layer, { signal, subject })) {
      digester.update(block);
      splitter.write(block);
      yield* records;
      records = [];
    }
    const { entries, repeated } = splitter.end();
    if (inline === undefined && repeated > 0) throw repeatedNames(subject, repeated);
    yield* records;
    onEnd?.({ diffId: digester.digest(), size: digester.size, entries });
  } finally {
    splitter.abort();
  }
}

function repeatedNames(subject: string, repeated: number): CodedError {
  const files = repeated === 1 ? "1 file has" : `${repeated} files have`;
  const why = `${files} the name of an earlier one: what became of that only a directory with the layer can tell`;
  return new CodedError("ERR_NOT_IMPLEMENTED", `${subject}: ${why}`);
}
