import type { Command } from "commander";
import type { Run } from "../command-run.ts";

export function addLayer(program: Command, run: Run): void {
  program
    .command("layer")
    .description("single layers, outside of the store")
    .command("apply")
    .description("apply layers to a directory, the lowest first")
    .argument("<layers...>", "tar, tar.gz or tar.zst files, - for standard input; then the directory")
    .usage("[options] <layer...> <dir>")
    .action(async (words: string[], _own: unknown, command: Command) => {
      const { applyLayerFiles } = await import("../actions/layer.ts");
      await applyLayerFiles(words, run(command));
    });
}
