import { Option } from "commander";
import type { Command } from "commander";
import { collectValue } from "../arguments/repeated.ts";
import type { Run } from "../command-run.ts";
import { addLimit, addOutput, addWriteOptions } from "./layer-options.ts";
import { addLs } from "./ls-command.ts";

const layerForms = "a tar, tar.gz or tar.zst file, - for standard input, or the digest of a stored blob";

export function addLayer(program: Command, run: Run): void {
  const layer = program.command("layer").description("single layers: apply, make, list, split and join them");
  addApply(layer, run);
  addDiff(layer, run);
  addLs(layer, "list the entries of a layer, whiteouts included, in the order of the archive")
    .argument("<layer>", layerForms)
    .action(async (name: string, _own: unknown, command: Command) => {
      const { listLayerFile } = await import("../actions/list-layer.ts");
      await listLayerFile(name, run(command));
    });
  addSplitAndJoin(layer, run);
}

function addApply(layer: Command, run: Run): void {
  const apply = layer
    .command("apply")
    .description("apply layers to a directory, the lowest first, and print the diff ID of each")
    .argument("<layers...>", `${layerForms}; then the directory`)
    .usage("[options] <layer...> <dir>")
    .addOption(
      new Option(
        "--ownership <mode>",
        "owners and devices: keep them, skip them, or record them in user.containers.override_stat (default: keep for root, else skip)",
      ).choices(["keep", "skip", "record"]),
    )
    .option("--uid-map <container:host:size>", "which user ids become which on disk; repeatable", collectValue)
    .option(
      "--gid-map <container:host:size>",
      "the same for groups; of one alone, the other is the same",
      collectValue,
    );
  addLimit(apply).action(async (words: string[], _own: unknown, command: Command) => {
    const { applyLayerFiles } = await import("../actions/apply-layers.ts");
    await applyLayerFiles(words, run(command));
  });
}

function addDiff(layer: Command, run: Run): void {
  const diff = layer
    .command("diff")
    .description("write what one directory has differently from another as a layer")
    .argument("<dirs...>", "the directory without the changes, then the one with them")
    .usage("[options] <lower> <upper>")
    .option("--all", "everything is a change: give only the upper directory")
    .option("--overlay", "the upper directory is that of an overlay on the lower one, whiteouts and all")
    .option("--userxattr", "the same, of an overlay that was mounted with this option, as without root")
    .addOption(
      new Option(
        "--ownership <mode>",
        "owners are what files have (keep), or what apply has recorded (default: keep)",
      ).choices(["keep", "record"]),
    );
  addWriteOptions(addOutput(diff, "the layer")).action(async (words: string[], _own: unknown, command: Command) => {
    const { diffDirectories } = await import("../actions/diff-layer.ts");
    await diffDirectories(words, run(command));
  });
}

function addSplitAndJoin(layer: Command, run: Run): void {
  layer
    .command("split")
    .description("record what the files of a layer do not tell about its tar, in the format of tar-split")
    .argument("<layer>", layerForms)
    .argument("<records>", "a file, compressed if its name ends in .gz, or - for standard output")
    .argument("[dir]", "where it was applied, to keep in the records what later entries have replaced there")
    .action(async (name: string, records: string, directory: string | undefined, _own: unknown, command: Command) => {
      const { splitLayerFile } = await import("../actions/split-layer.ts");
      await splitLayerFile({ name, records, directory }, run(command));
    });
  const join = layer
    .command("join")
    .description("make the exact tar again of what split has recorded and a directory with the files")
    .argument("<records>", "a file, compressed or not, - for standard input")
    .argument("<dir>", "where the layer was applied")
    .option("--diff-id <digest>", "end with 5 if the tar is another one");
  addOutput(join, "the tar").action(async (records: string, dir: string, _own: unknown, command: Command) => {
    const { joinLayerFile } = await import("../actions/split-layer.ts");
    await joinLayerFile(records, dir, run(command));
  });
}
