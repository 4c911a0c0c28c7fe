import type { Command } from "commander";
import { parseDuration } from "../arguments/duration.ts";
import { collectLabel } from "../arguments/repeated.ts";
import type { Run } from "../command-run.ts";
import { filterOption } from "./filter-option.ts";
import { addLs } from "./ls-command.ts";

export function addLeases(program: Command, run: Run): void {
  const leases = program.command("leases").description("what keeps things while somebody works on them");
  addLs(leases, "list leases", "ids")
    .addOption(filterOption("labels.job==nightly"))
    .action(async (_own: unknown, command: Command) => {
      const { listLeases } = await import("../actions/leases.ts");
      await listLeases(run(command));
    });
  leases
    .command("create")
    .description("create a lease and print its id")
    .option("--id <id>", "(default: a random one)")
    .option("--expires <duration>", "from now: 30m, 24h, 7d (default: never)", parseDuration)
    .option("--label <name=value>", "repeatable", collectLabel)
    .action(async (_own: unknown, command: Command) => {
      const { createLease } = await import("../actions/leases.ts");
      await createLease(run(command));
    });
  leases
    .command("rm")
    .description("remove leases; varve gc then frees what nothing else keeps")
    .argument("<ids...>")
    .action(async (ids: string[], _own: unknown, command: Command) => {
      const { removeLeases } = await import("../actions/remove.ts");
      await removeLeases(ids, run(command));
    });
}
