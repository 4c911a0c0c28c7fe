import type { Command } from "commander";
import { collectLabel } from "../arguments/repeated.ts";
import type { Run } from "../command-run.ts";

/** The commands for layers that can be written to. */
export function addRWLayers(layers: Command, run: Run): void {
  layers
    .command("create")
    .description("make a read-write layer and print its name; it stays until it is removed")
    .argument("<name>", "without a colon")
    .option("--parent <chain-id>", "the layer that it stands on (default: none, it is empty)")
    .option("--label <name=value>", "for the snapshot that takes the changes; repeatable", collectLabel)
    .action(async (name: string, _own: unknown, command: Command) => {
      const { createRWLayer } = await import("../actions/rw-layers.ts");
      await createRWLayer(name, run(command));
    });
  addMounts(layers, run);
  layers
    .command("changes")
    .description("list what a read-write layer adds (A), modifies (M) and deletes (D) on its parent")
    .argument("<name>")
    .option("-q, --quiet", "only paths, one a line")
    .action(async (name: string, _own: unknown, command: Command) => {
      const { listLayerChanges } = await import("../actions/rw-layers.ts");
      await listLayerChanges(name, run(command));
    });
  layers
    .command("commit")
    .description("make a layer of the changes of a read-write layer, which stays, and print its chain ID")
    .argument("<name>")
    .action(async (name: string, _own: unknown, command: Command) => {
      const { commitRWLayer } = await import("../actions/rw-layers.ts");
      await commitRWLayer(name, run(command));
    });
}

function addMounts(layers: Command, run: Run): void {
  layers
    .command("mount")
    .description("mount a read-write layer on a directory, for writing; the changes outlive the mount")
    .argument("<name>")
    .argument("<dir>", "a directory that exists")
    .action(async (name: string, dir: string, _own: unknown, command: Command) => {
      const { mountRWLayer } = await import("../actions/mount-layer.ts");
      await mountRWLayer(name, dir, run(command));
    });
  layers
    .command("unmount")
    .alias("umount")
    .description("take a read-write layer off the directory it is mounted on, as varve unmount DIR does")
    .argument("<name>")
    .option("--lazy", "detach also while something is open below")
    .action(async (name: string, _own: unknown, command: Command) => {
      const { unmountRWLayer } = await import("../actions/mount-layer.ts");
      await unmountRWLayer(name, run(command));
    });
}
