import { joinLayer, splitLayer } from "@varve/client";
import type { LayerInfo } from "@varve/client";
import { createDigester, parseDigest } from "@varve/digest";
import { UsageError } from "../exit-code.ts";
import { formatBytes, formatCount } from "../format.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { byteOutput, unlessUnread } from "./byte-output.ts";
import { readFileBytes, withLayers } from "./layer-source.ts";
import type { LayerSource } from "./layer-source.ts";

/** What is split, where to, and where the layer was applied. */
export interface SplitArguments {
  readonly name: string;
  readonly records: string;
  readonly directory: string | undefined;
}

interface JoinOptions {
  readonly output?: string;
  readonly diffId?: string;
}

export async function splitLayerFile(
  { name, records, directory }: SplitArguments,
  { options, signal }: CommandRun,
): Promise<void> {
  if (name === "-" && directory !== undefined) {
    throw new UsageError("layer split: with a directory the layer is read twice, which standard input cannot be");
  }
  const output = byteOutput("layer split", records, { json: options.json, signal });
  const compression = records.endsWith(".gz") ? "gzip" : "none";
  const split = ([layer]: readonly LayerSource[]): Promise<LayerInfo | undefined> => {
    if (layer === undefined) throw new UsageError("layer split: needs a layer");
    const splitting = { name: layer.name, compression, directory, signal } as const;
    return unlessUnread(output, () => splitLayer(layer.open, (bytes) => output.write(bytes), splitting));
  };
  const info = await withLayers([name], { options, signal }, split);
  if (info === undefined || !output.isFile) return;
  await printResult(options.json, { ...info, records }, () => [infoLine(info)]);
}

export async function joinLayerFile(
  records: string,
  directory: string,
  { options, signal }: CommandRun<JoinOptions>,
): Promise<void> {
  const output = byteOutput("layer join", options.output, { json: options.json, signal });
  const expected = options.diffId === undefined ? undefined : parseDigest(options.diffId);
  const digester = createDigester();
  const joined = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    const tar = joinLayer(readFileBytes("records", records), directory, { diffId: expected, signal });
    for await (const chunk of tar) {
      digester.update(chunk);
      yield chunk;
    }
  };
  await output.write(joined());
  if (!output.isFile) return;
  const info = { diffId: digester.digest(), size: digester.size };
  await printResult(options.json, { ...info, output: options.output }, () => [
    `${info.diffId} ${formatBytes(info.size)}`,
  ]);
}

function infoLine({ diffId, entries, size }: LayerInfo): string {
  return `${diffId} ${formatCount(entries, "entry", "entries")} ${formatBytes(size)}`;
}
