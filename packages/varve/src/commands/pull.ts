import type { Command } from "commander";
import type { Run } from "../command-run.ts";
import { addLimit, addUnpackOptions } from "./layer-options.ts";
import { addDigestFile, addDownloadOptions, addQuiet, addRegistryOptions } from "./registry-options.ts";

export function addPull(program: Command, run: Run): void {
  const pulling = program
    .command("pull")
    .description("fetch an image and unpack it")
    .argument("<reference>", "as docker takes it: debian, localhost:5000/app:v1, name@sha256:…");
  addQuiet(addDigestFile(addDownloadOptions(addRegistryOptions(addUnpackOptions(addLimit(pulling)))))).action(
    async (reference: string, _own: unknown, command: Command) => {
      const { pull } = await import("../actions/pull.ts");
      await pull(reference, run(command));
    },
  );
}
