import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import type { Run } from "./command-run.ts";
import { addContent } from "./commands/content.ts";
import { addImages } from "./commands/images.ts";
import { addLayer } from "./commands/layer.ts";
import { addLeases } from "./commands/leases.ts";
import { addMount } from "./commands/mount.ts";
import { addNamespaces } from "./commands/namespaces.ts";
import { addPull } from "./commands/pull.ts";
import { addServe } from "./commands/serve.ts";
import { addSnapshots } from "./commands/snapshots.ts";
import { addStore } from "./commands/store.ts";
import { progressModes } from "./progress/progress-modes.ts";
import { snapshotterNames } from "./snapshotter-names.ts";

/** The command line. `signal` aborts whatever command runs. */
export function createProgram(signal: AbortSignal): Command {
  const program = new Command("varve")
    .description("Container images without a daemon: pull, unpack, mount.")
    .version(version(), "-V, --version", "print the version")
    .option(
      "--root <dir>",
      "where images are kept (default: /var/lib/varve for root, the XDG state directory for others)",
    )
    .addOption(
      new Option("-n, --namespace <name>", "whose images, leases and snapshots")
        .env("VARVE_NAMESPACE")
        .default("default"),
    )
    .option("--platform <platform>", "os/architecture[/variant] (default: this machine's)")
    .addOption(
      new Option("--snapshotter <name>", "how layers are kept (default: overlay for root, native for others)").choices(
        snapshotterNames,
      ),
    )
    .option("--plain-http", "talk http to registries that are not on this machine, too")
    .addOption(new Option("--progress <mode>", "on standard error").choices(progressModes).default("auto"))
    .option("--json", "print the result as one JSON object")
    .exitOverride()
    .showHelpAfterError("(varve --help lists commands and options)");
  const run: Run = (command) => ({ options: command.optsWithGlobals(), signal });
  const groups = [addPull, addMount, addImages, addContent, addSnapshots, addLeases, addNamespaces, addStore];
  for (const add of [...groups, addLayer, addServe]) add(program, run);
  return program;
}

function version(): string {
  const file = new URL("../package.json", import.meta.url);
  const description: unknown = JSON.parse(readFileSync(file, "utf8"));
  const known = typeof description === "object" && description !== null && "version" in description;
  return known ? String(description.version) : "0";
}
