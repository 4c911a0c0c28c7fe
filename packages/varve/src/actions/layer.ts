import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { applyLayers } from "@varve/client";
import { CodedError } from "@varve/errors";
import { UsageError } from "../exit-code.ts";
import { formatBytes } from "../format.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";

export async function applyLayerFiles(words: readonly string[], { options, signal }: CommandRun): Promise<void> {
  const directory = words.at(-1);
  const names = words.slice(0, -1);
  if (directory === undefined || names.length === 0) throw new UsageError("layer apply: needs a layer and a directory");
  if (names.filter((name) => name === "-").length > 1) throw new UsageError("layer apply: standard input is one layer");
  const layers = await applyLayers(names.map(read), resolve(directory), { signal });
  await printResult(options.json, { layers }, () => layers.map(({ diffId, size }) => `${diffId} ${formatBytes(size)}`));
}

/** Opened at its first byte: a stream that nobody reads yet has nobody to tell that its file is missing. */
async function* read(name: string): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* name === "-" ? process.stdin : createReadStream(name, { highWaterMark: 256 * 1024 });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    throw new CodedError("ERR_NOT_FOUND", `layer ${name}: no such file`, { cause: error });
  }
}
