import type { TarEntry } from "@varve/archive";
import { createDigester } from "@varve/digest";
import type { Digest } from "@varve/digest";

export interface ReadLayerOptions {
  /** Rejects with the signal's own reason. */
  readonly signal?: AbortSignal | undefined;
  /** What messages call the layer. Default: none. */
  readonly name?: string | undefined;
}

/** What a layer came to. */
export interface LayerInfo {
  readonly diffId: Digest;
  /** Bytes of the uncompressed tar. */
  readonly size: number;
  /** Entries of the archive, whiteouts included. */
  readonly entries: number;
}

/**
 * Lists the entries of a layer (a tar, plain or compressed by gzip or zstd) in the order of the archive, whiteouts included, as
 * its bytes come in; it returns what the layer came to. Reads to the end, in this thread, in small turns.
 *
 * @throws ERR_INVALID_DATA the stream is malformed or ends too early
 * @throws ERR_NOT_IMPLEMENTED an entry of a kind that is not known
 */
export async function* listLayer(
  layer: AsyncIterable<Uint8Array>,
  options: ReadLayerOptions = {},
): AsyncGenerator<TarEntry, LayerInfo, undefined> {
  // What makes system calls is loaded by those who use it.
  const { createTarReader } = await import("@varve/archive");
  const { decompress } = await import("@varve/compression");
  const subject = subjectOf(options.name);
  let found: TarEntry[] = [];
  let entries = 0;
  const digester = createDigester();
  const handler = { entry: (entry: TarEntry) => found.push(entry), data: () => undefined, done: () => undefined };
  const reader = createTarReader(handler, { subject });
  for await (const block of decompress(layer, { signal: options.signal, subject })) {
    digester.update(block);
    reader.write(block);
    entries += found.length;
    yield* found;
    found = [];
  }
  reader.end();
  return { diffId: digester.digest(), size: digester.size, entries };
}

/** How errors begin. */
export function subjectOf(name: string | undefined): string {
  return name === undefined ? "layer" : `layer ${name}`;
}
