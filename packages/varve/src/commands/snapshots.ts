import type { Command } from "commander";
import type { Run } from "../command-run.ts";
import { addLs } from "./ls-command.ts";

export function addSnapshots(program: Command, run: Run): void {
  const snapshots = program.command("snapshots").description("unpacked layers, and what is mounted");
  addLs(snapshots, "list snapshots, parents before children").action(async (_own: unknown, command: Command) => {
    const { listSnapshots } = await import("../actions/snapshots.ts");
    await listSnapshots(run(command));
  });
}
