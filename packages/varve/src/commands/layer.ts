import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { applyLayers } from "@varve/client";
import type { Command } from "commander";
import { UsageError } from "../exit-code.ts";
import { formatBytes } from "../format.ts";
import type { GlobalOptions } from "../globals.ts";
import { createOutput } from "../output.ts";

export function addLayerCommand(program: Command, signal: AbortSignal): void {
  const layer = program.command("layer").description("single layers, outside of the store");
  layer
    .command("apply")
    .description("apply layers to a directory, the lowest first")
    .argument("<layers...>", "tar, tar.gz or tar.zst files, - for standard input; then the directory")
    .usage("[options] <layer...> <dir>")
    .action(async (words: string[], _own: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const dir = words.at(-1);
      const layers = words.slice(0, -1);
      if (dir === undefined || layers.length === 0) throw new UsageError("layer apply: needs a layer and a directory");
      const applied = await applyLayers(layers.map(open), resolve(dir), { signal });
      createOutput(options.json === true).result({ layers: applied }, () =>
        applied.map(({ diffId, size }) => `${diffId} ${formatBytes(size)}`).join("\n"),
      );
    });
}

function open(name: string): AsyncIterable<Uint8Array> {
  return name === "-" ? process.stdin : createReadStream(name, { highWaterMark: 256 * 1024 });
}
