import type { Client, LayerStore, RWLayerInfo, StoredLayer } from "@varve/client";
import { parseDigest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { CommandRun } from "../command-run.ts";
import { UsageError } from "../exit-code.ts";
import { formatBytes, formatTable } from "../format.ts";
import { mustHaveOneForm, printResult } from "../output.ts";
import type { ListOptions } from "../output.ts";
import { byteOutput } from "./byte-output.ts";
import { chainIdIn } from "./layer-name.ts";
import { readFileBytes } from "./layer-source.ts";
import { withLayerStore } from "./with-layers.ts";

interface ImportOptions {
  readonly parent?: string;
}

interface TarOptions {
  readonly from?: string;
  readonly output?: string;
}

export async function importLayer(file: string, run: CommandRun<ImportOptions>): Promise<void> {
  const { options, signal } = run;
  const parent = options.parent === undefined ? undefined : parseDigest(options.parent);
  const bytes = (): AsyncIterable<Uint8Array> => readFileBytes("layer", file);
  const layer = await withLayerStore(run, async ({ store }) => {
    try {
      // A file can be read again, which spares a copy of it.
      return infoOf(await store.register(file === "-" ? notEmpty(bytes()) : bytes, { parent, signal }));
    } catch (error) {
      throw named(error, file === "-" ? "of standard input" : file);
    }
  });
  await printResult(options.json, layer, () => [layer.chainId]);
}

/** A read-write layer, and the directories that show it. */
interface ListedRW extends RWLayerInfo {
  readonly mountedOn: readonly string[];
}

/** What is listed: a layer, or a read-write layer as one with a name. */
type Listed = StoredLayer | ListedRW;

export async function listLayers(run: CommandRun<ListOptions>): Promise<void> {
  const { options, signal } = run;
  mustHaveOneForm(options);
  const { layers, readWrite } = await withLayerStore(run, async ({ client, store }) => ({
    layers: (await Array.fromAsync(store.list({ signal }))).toSorted((a, b) => a.depth - b.depth),
    readWrite: await listRW(client, store, signal),
  }));
  const listed: readonly Listed[] = [...layers, ...readWrite];
  await printResult(options.json, { layers, readWrite }, () =>
    options.quiet === true ? listed.map(nameOf) : formatTable([header, ...listed.map(rowOf)]),
  );
}

/** Programs that have opened the store mount layers themselves; what `layers mount` has mounted is the client's. */
async function listRW(client: Client, store: LayerStore, signal: AbortSignal): Promise<readonly ListedRW[]> {
  const places = await client.mountPoints({ signal });
  const readWrite: ListedRW[] = [];
  for await (const { mountedOn, ...layer } of store.listRWLayers({ signal })) {
    const byClient = places.get(layer.snapshot) ?? [];
    readWrite.push({ ...layer, mountedOn: mountedOn === undefined ? byClient : [mountedOn, ...byClient] });
  }
  return readWrite;
}

const header = ["LAYERS", "SIZE", "TOTAL", "CHAIN ID OR NAME", "PARENT", "MOUNTED ON"];

function rowOf(layer: Listed): string[] {
  const { parent = "-" } = layer;
  // What has been written to it can only be told by comparing files.
  if ("name" in layer) return ["rw", "-", "-", layer.name, parent, layer.mountedOn.join(", ") || "-"];
  return [String(layer.depth), formatBytes(layer.diffSize), formatBytes(layer.size), layer.chainId, parent, "-"];
}

function nameOf(layer: Listed): string {
  return "name" in layer ? layer.name : layer.chainId;
}

/** The tar of a layer, or what has changed since one further down, or the changes of a read-write layer, as one. */
export async function writeLayerTar(word: string, run: CommandRun<TarOptions>): Promise<void> {
  const { options, signal } = run;
  const chainId = chainIdIn(word);
  const from = options.from === undefined ? undefined : parseDigest(options.from);
  if (from !== undefined && chainId === undefined) {
    throw new UsageError("layers tar: --from is for chain IDs: a read-write layer has changes on its parent only");
  }
  const output = byteOutput("layers tar", options.output, { json: options.json, signal });
  const layer = await withLayerStore(run, async ({ store }) => {
    // It is not released: that would take away a layer that nobody else refers to.
    const held = await (chainId === undefined ? store.getRWLayer(word, { signal }) : store.get(chainId, { signal }));
    const isWhole = from === undefined || !("tarStreamFrom" in held);
    await output.write(isWhole ? held.tarStream({ signal }) : held.tarStreamFrom(from, { signal }));
    return "name" in held ? { name: held.name, parent: held.parent } : infoOf(held);
  });
  if (!output.isFile) return;
  const isExact = !("name" in layer) && from === undefined;
  await printResult(options.json, { ...layer, from, output: options.output }, () => [isExact ? layer.diffId : word]);
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
export function infoOf({ chainId, diffId, parent, descriptor, depth, diffSize, size }: StoredLayer): StoredLayer {
  return { chainId, diffId, parent, descriptor, depth, diffSize, size };
}
