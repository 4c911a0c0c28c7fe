import type { Command } from "commander";
import type { Run } from "../command-run.ts";
import { addLimit, addOutput } from "./layer-options.ts";
import { addLs } from "./ls-command.ts";
import { addRWLayers } from "./rw-layers.ts";

export function addLayers(program: Command, run: Run): void {
  const layers = program
    .command("layers")
    .description("layers that are kept by themselves, with the exact tar of each");
  const add = layers
    .command("import")
    .description("unpack and keep a layer, and print its chain ID")
    .argument("<file>", "a tar, tar.gz or tar.zst file, or - for standard input")
    .option("--parent <chain-id>", "the layer that it stands on (default: none)");
  addLimit(add).action(async (file: string, _own: unknown, command: Command) => {
    const { importLayer } = await import("../actions/stored-layers.ts");
    await importLayer(file, run(command));
  });
  addLs(
    layers,
    "list layers, parents before children, then read-write layers and where they are mounted",
    "chain IDs and names",
  ).action(async (_own: unknown, command: Command) => {
    const { listLayers } = await import("../actions/stored-layers.ts");
    await listLayers(run(command));
  });
  const tar = layers
    .command("tar")
    .description("write the tar of a layer as it was imported, bit for bit, but never compressed")
    .argument("<layer>", "a chain ID, or the name of a read-write layer for a tar of its changes")
    .option("--from <chain-id>", "a layer that it stands on: all changes since that one");
  addOutput(tar, "the tar").action(async (layer: string, _own: unknown, command: Command) => {
    const { writeLayerTar } = await import("../actions/stored-layers.ts");
    await writeLayerTar(layer, run(command));
  });
  layers
    .command("rm")
    .description("remove layers, with those below that nobody has a use for, and print all that are gone")
    .argument("<layers...>", "chain IDs, and names of read-write layers, whose parents stay")
    .action(async (words: string[], _own: unknown, command: Command) => {
      const { removeLayers } = await import("../actions/remove-layers.ts");
      await removeLayers(words, run(command));
    });
  addRWLayers(layers, run);
}
