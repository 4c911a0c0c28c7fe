import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import { addContentCommand } from "./commands/content.ts";
import { addImagesCommand } from "./commands/images.ts";
import { addLayerCommand } from "./commands/layer.ts";
import { addMountCommands } from "./commands/mount.ts";
import { addPullCommand } from "./commands/pull.ts";
import { addServeCommand } from "./commands/serve.ts";
import { addSnapshotsCommand } from "./commands/snapshots.ts";
import { progressModes } from "./progress/progress-view.ts";

/** The command line. `signal` aborts whatever command runs. */
export function createProgram(signal: AbortSignal): Command {
  const program = new Command("varve")
    .description("Container images without a daemon: pull, unpack, mount.")
    .version(version(), "-V, --version", "print the version")
    .option("--root <dir>", "where images are kept (default: /var/lib/varve for root, the XDG state directory for others)")
    .option("--platform <platform>", "os/architecture[/variant] (default: this machine's)")
    .addOption(new Option("--snapshotter <name>", "how layers are kept (default: overlay for root, native for others)").choices(["overlay", "native"]))
    .option("--plain-http", "talk http to registries that are not on this machine, too")
    .addOption(new Option("--progress <mode>", "on standard error").choices(progressModes).default("auto"))
    .option("--json", "print the result as one JSON object")
    .exitOverride()
    .showHelpAfterError("(varve --help lists commands and options)");
  addPullCommand(program, signal);
  addImagesCommand(program, signal);
  addMountCommands(program, signal);
  addSnapshotsCommand(program, signal);
  addContentCommand(program, signal);
  addLayerCommand(program, signal);
  addServeCommand(program, signal);
  return program;
}

function version(): string {
  const file = new URL("../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
