import type { Command } from "commander";
import { collectLabel } from "../arguments/repeated.ts";
import type { Run } from "../command-run.ts";

const starts = [
  ["prepare", "make a writable snapshot"],
  ["view", "make a read-only snapshot"],
] as const;

/** The commands that make and remove snapshots. */
export function addSnapshotChanges(snapshots: Command, run: Run): void {
  for (const [call, description] of starts) {
    snapshots
      .command(call)
      .description(`${description} and print its key; varve gc leaves it alone until it is removed`)
      .argument("<key>")
      .argument("[parent]", "a committed snapshot (default: none, it is empty)")
      .option("--mounts", "print the commands that mount it instead of the key")
      .option("-t, --target <dir>", "the same, for this directory")
      .option("--label <name=value>", "repeatable", collectLabel)
      .action(async (key: string, parent: string | undefined, _own: unknown, command: Command) => {
        const { startSnapshot } = await import("../actions/make-snapshot.ts");
        await startSnapshot({ call, key, parent }, run(command));
      });
  }
  snapshots
    .command("commit")
    .description("make a snapshot that others can stand on of a writable one; unmount that first")
    .argument("<name>", "what it is called from now on; varve gc leaves it alone until it is removed")
    .argument("<key>", "the writable snapshot, which is gone then")
    .option("--label <name=value>", "repeatable", collectLabel)
    .action(async (name: string, key: string, _own: unknown, command: Command) => {
      const { commitSnapshot } = await import("../actions/make-snapshot.ts");
      await commitSnapshot(name, key, run(command));
    });
  snapshots
    .command("rm")
    .description("remove snapshots, one after the other: children before parents")
    .argument("<keys...>")
    .action(async (keys: string[], _own: unknown, command: Command) => {
      const { removeSnapshots } = await import("../actions/remove.ts");
      await removeSnapshots(keys, run(command));
    });
}
