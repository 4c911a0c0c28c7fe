import type { Command } from "commander";
import type { Run } from "../command-run.ts";
import { filterOption } from "./filter-option.ts";
import { addOutput, addWriteOptions } from "./layer-options.ts";
import { addLs } from "./ls-command.ts";
import { addSnapshotChanges } from "./snapshot-changes.ts";

const filterExample = "kind==active or parent==base";

export function addSnapshots(program: Command, run: Run): void {
  const snapshots = program.command("snapshots").description("unpacked layers, and what is mounted");
  addLs(snapshots, "list snapshots, parents before children")
    .argument("[filters...]", "as --filter")
    .addOption(filterOption(filterExample))
    .action(async (filters: string[], _own: unknown, command: Command) => {
      const { listSnapshots } = await import("../actions/list-snapshots.ts");
      await listSnapshots(filters, run(command));
    });
  snapshots
    .command("tree")
    .description("show what stands on what")
    .argument("[filters...]", "as --filter")
    .addOption(filterOption(filterExample))
    .action(async (filters: string[], _own: unknown, command: Command) => {
      const { showTree } = await import("../actions/list-snapshots.ts");
      await showTree(filters, run(command));
    });
  snapshots
    .command("info")
    .description("print kind, parent, labels and times of a snapshot, as JSON")
    .argument("<key>")
    .action(async (key: string, _own: unknown, command: Command) => {
      const { showSnapshot } = await import("../actions/show-snapshot.ts");
      await showSnapshot(key, run(command));
    });
  snapshots
    .command("usage")
    .description("show what snapshots take up by themselves, without their parents")
    .argument("[keys...]", "default: every snapshot")
    .action(async (keys: string[], _own: unknown, command: Command) => {
      const { showSnapshotUsage } = await import("../actions/list-snapshots.ts");
      await showSnapshotUsage(keys, run(command));
    });
  snapshots
    .command("mounts")
    .description("print the commands that mount an active snapshot or a view, for a shell")
    .argument("<key>")
    .argument("[target]", 'where to mount (default: "$TARGET", for the shell to fill in)')
    .action(async (key: string, target: string | undefined, _own: unknown, command: Command) => {
      const { showMounts } = await import("../actions/show-snapshot.ts");
      await showMounts(key, target, run(command));
    });
  addDiff(snapshots, run);
  addSnapshotChanges(snapshots, run);
}

function addDiff(snapshots: Command, run: Run): void {
  const diff = snapshots
    .command("diff")
    .description("list what a snapshot adds (A), modifies (M) and deletes (D) on its parent, or write it as a layer")
    .argument("<key>", "of any kind; of two, what leads from the first to the second")
    .argument("[other]")
    .option("-q, --quiet", "only paths, one a line")
    .option("--tar", "write a layer instead of a list");
  addWriteOptions(addOutput(diff, "the layer")).action(
    async (key: string, other: string | undefined, _own: unknown, command: Command) => {
      const { diffSnapshots } = await import("../actions/diff-snapshots.ts");
      await diffSnapshots(key, other, run(command));
    },
  );
}
