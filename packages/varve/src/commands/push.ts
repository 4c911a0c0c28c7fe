import type { Command } from "commander";
import { collectValue } from "../arguments/repeated.ts";
import type { Run } from "../command-run.ts";
import { addDigestFile, addQuiet, addRegistryOptions, addSides, addUploadOptions } from "./registry-options.ts";

export function addPush(program: Command, run: Run): void {
  const pushing = program
    .command("push")
    .description("send a stored image to a registry: all of it, or with --platform one image of an index")
    .argument("<name>", "a stored image")
    .argument("[destination]", "where to (default: its own name)")
    .option("--tag <tag>", "another tag there for it; repeatable", collectValue)
    .option("--allow-nondistributable", "send foreign layers, too");
  addUploadOptions(addQuiet(addDigestFile(addRegistryOptions(pushing)))).action(
    async (name: string, destination: string | undefined, _own: unknown, command: Command) => {
      const { push } = await import("../actions/push.ts");
      await push(name, destination, run(command));
    },
  );
  const copying = program
    .command("copy")
    .description(
      "copy an image from one registry to another, past the store: an index with all that is in it, or one platform",
    )
    .argument("<source>", "as docker takes it")
    .argument("<destination>", "a name with a tag")
    .option("--referrers", "with what refers to it, such as signatures")
    .option("--tag <tag>", "another tag there for it; repeatable", collectValue)
    .option("--allow-nondistributable", "copy foreign layers, too");
  addUploadOptions(addQuiet(addDigestFile(addSides(addRegistryOptions(copying))))).action(
    async (source: string, destination: string, _own: unknown, command: Command) => {
      const { copy } = await import("../actions/copy.ts");
      await copy(source, destination, run(command));
    },
  );
}
