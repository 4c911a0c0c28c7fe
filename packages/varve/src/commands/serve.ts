import type { Command } from "commander";
import { collectValue } from "../arguments/repeated.ts";
import { parseDuration } from "../arguments/duration.ts";
import type { Run } from "../command-run.ts";
import { addRegistryOptions } from "./registry-options.ts";

export function addServe(program: Command, run: Run): void {
  const command = program
    .command("serve")
    .description(
      "serve the stored images as a registry, until interrupted; whoever reaches it may read, push and delete",
    )
    .requiredOption("--listen <host:port>", "where to listen, for instance 127.0.0.1:5000")
    .option("--read-only", "refuse pushes and deletions")
    .option("--no-delete", "refuse deletions")
    .option(
      "--upstream <registry>",
      "serve what this registry gives to you, keep it, and refuse pushes; repeatable, clients say then which one they mean",
      collectValue,
    )
    .option(
      "--tag-max-age <duration>",
      "how long to trust what the upstream said of a tag (default: 0s)",
      parseDuration,
    );
  addRegistryOptions(command).action(async (_own: unknown, called: Command) => {
    const { serve } = await import("../actions/serve.ts");
    await serve(run(called));
  });
}
