import { Option } from "commander";
import type { Command } from "commander";
import { parseDuration } from "../arguments/duration.ts";
import type { Run } from "../command-run.ts";
import { itemTypes } from "../item-types.ts";

/** What is about the store as a whole, over all namespaces. */
export function addStore(program: Command, run: Run): void {
  addCollect(program, run);
  program
    .command("check")
    .description("hash every blob, and compare records with what is stored; ends with 5 and names what is damaged")
    .option("--quick", "compare sizes instead of hashing")
    .action(async (_own: unknown, command: Command) => {
      const { checkStore } = await import("../actions/check-store.ts");
      await checkStore(run(command));
    });
  program
    .command("repair")
    .description("set aside what check finds damaged, and name the images to pull again")
    .option("--quick", "compare sizes instead of hashing")
    .action(async (_own: unknown, command: Command) => {
      const { repairStore } = await import("../actions/repair-store.ts");
      await repairStore(run(command));
    });
  program
    .command("df")
    .description("show where the disk space is")
    .action(async (_own: unknown, command: Command) => {
      const { showUsage } = await import("../actions/disk-usage.ts");
      await showUsage(run(command));
    });
}

function addCollect(program: Command, run: Run): void {
  program
    .command("gc")
    .description("remove what nothing keeps")
    .option("--dry-run", "tell what would go, and remove nothing")
    .option("--ingest-age <duration>", "how long unfinished downloads are kept (default: 24h)", parseDuration)
    .allowExcessArguments(false)
    .action(async (_own: unknown, command: Command) => {
      const { collect } = await import("../actions/collect.ts");
      await collect(run(command));
    })
    .command("why")
    .description("tell what keeps a thing: the references from a root to it, one a line")
    .argument("<name>", "a digest, a chain ID or key of a snapshot, an image, a lease, or the ref of an ingest")
    .addOption(new Option("--type <type>", "what the name is of (default: whatever there is)").choices(itemTypes))
    .action(async (name: string, _own: unknown, command: Command) => {
      const { explain } = await import("../actions/explain.ts");
      await explain(name, run(command));
    });
}
