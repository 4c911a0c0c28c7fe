import type { Command } from "commander";
import type { Run } from "../command-run.ts";

export function addServe(program: Command, run: Run): void {
  program
    .command("serve")
    .description("serve the stored images as a registry, until interrupted; whoever reaches it may read and push")
    .requiredOption("--listen <host:port>", "where to listen, for instance 127.0.0.1:5000")
    .option("--read-only", "refuse pushes and deletions")
    .action(async (_own: unknown, command: Command) => {
      const { serve } = await import("../actions/serve.ts");
      await serve(run(command));
    });
}
