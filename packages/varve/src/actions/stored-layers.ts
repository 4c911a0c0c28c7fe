import type { StoredLayer } from "@varve/client";
import { parseDigest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { CommandRun } from "../command-run.ts";
import { formatBytes } from "../format.ts";
import { withClient } from "../globals.ts";
import { printList, printResult } from "../output.ts";
import type { ListOptions } from "../output.ts";
import { byteOutput } from "./byte-output.ts";
import { readFileBytes } from "./layer-source.ts";

interface ImportOptions {
  readonly parent?: string;
}

interface TarOptions {
  readonly output?: string;
}

export async function importLayer(file: string, { options, signal }: CommandRun<ImportOptions>): Promise<void> {
  const parent = options.parent === undefined ? undefined : parseDigest(options.parent);
  const bytes = (): AsyncIterable<Uint8Array> => readFileBytes("layer", file);
  const layer = await withClient(options, async (client) => {
    const store = await client.layerStore();
    try {
      // A file can be read again, which spares a copy of it.
      return infoOf(await store.register(file === "-" ? notEmpty(bytes()) : bytes, { parent, signal }));
    } catch (error) {
      throw named(error, file === "-" ? "of standard input" : file);
    }
  });
  await printResult(options.json, layer, () => [layer.chainId]);
}

export async function listLayers({ options, signal }: CommandRun<ListOptions>): Promise<void> {
  const form = {
    key: "layers",
    header: ["LAYERS", "SIZE", "TOTAL", "CHAIN ID", "PARENT"],
    row: ({ chainId, depth, diffSize, parent, size }: StoredLayer) => [
      String(depth),
      formatBytes(diffSize),
      formatBytes(size),
      chainId,
      parent ?? "-",
    ],
    name: ({ chainId }: StoredLayer) => chainId,
  };
  await printList(options, form, async () => {
    const layers = await withClient(options, async (client) => {
      const store = await client.layerStore();
      return Array.fromAsync(store.list({ signal }));
    });
    return layers.toSorted((a, b) => a.depth - b.depth);
  });
}

export async function writeLayerTar(name: string, { options, signal }: CommandRun<TarOptions>): Promise<void> {
  const chainId = parseDigest(name);
  const output = byteOutput("layers tar", options.output, { json: options.json, signal });
  const layer = await withClient(options, async (client) => {
    const store = await client.layerStore();
    // It is not released: that would take away a layer that nobody else refers to.
    const held = await store.get(chainId, { signal });
    await output.write(held.tarStream({ signal }));
    return infoOf(held);
  });
  if (!output.isFile) return;
  await printResult(options.json, { ...layer, output: options.output }, () => [layer.diffId]);
}

/** The empty stream is a layer, too, but from a pipe it is a program that has failed. */
async function* notEmpty(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let isEmpty = true;
  for await (const chunk of bytes) {
    isEmpty &&= chunk.length === 0;
    yield chunk;
  }
  if (isEmpty) throw new CodedError("ERR_INVALID_DATA", "layer: no bytes");
}

/** The store knows bytes only: what is wrong with them is said of the file. */
function named(error: unknown, file: string): unknown {
  if (!(error instanceof CodedError) || !error.message.startsWith("layer: ")) return error;
  return new CodedError(error.code, `layer ${file}${error.message.slice("layer".length)}`, { cause: error.cause });
}

/** A reference without what can be done with it. */
function infoOf({ chainId, diffId, parent, descriptor, depth, diffSize, size }: StoredLayer): StoredLayer {
  return { chainId, diffId, parent, descriptor, depth, diffSize, size };
}
