import { Command, Option } from "commander";
import { parseInterval } from "./arguments/duration.ts";
import type { Run } from "./command-run.ts";
import { addContainerd } from "./commands/containerd.ts";
import { addContent } from "./commands/content.ts";
import { addImages } from "./commands/images.ts";
import { addLayer } from "./commands/layer.ts";
import { addLayers } from "./commands/layers.ts";
import { addLeases } from "./commands/leases.ts";
import { addMount } from "./commands/mount.ts";
import { addNamespaces } from "./commands/namespaces.ts";
import { addPull } from "./commands/pull.ts";
import { addPush } from "./commands/push.ts";
import { addRegistry } from "./commands/registry.ts";
import { addLogin } from "./commands/login.ts";
import { addArchives } from "./commands/archives.ts";
import { addServe } from "./commands/serve.ts";
import { addSnapshots } from "./commands/snapshots.ts";
import { addStore } from "./commands/store.ts";
import { progressModes } from "./progress/progress-modes.ts";
import { ownVersion } from "./own-version.ts";

/** The command line. `signal` aborts whatever command runs. */
export function createProgram(signal: AbortSignal): Command {
  const program = new Command("varve")
    .description("Container images without a daemon: pull, unpack, mount.")
    .version(ownVersion(), "-V, --version", "print the version")
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
    .option(
      "--containerd <socket>",
      "use the stores of the containerd that listens there, such as /run/containerd/containerd.sock, and none of our own",
    )
    .option(
      "--snapshotter <name>",
      "how layers are kept: overlay (default for root) or native (for others); of a containerd the name of one of its own (default: overlayfs)",
    )
    .option("--plain-http", "talk http to registries that are not on this machine, too")
    .addOption(new Option("--progress <mode>", "on standard error").choices(progressModes).default("auto"))
    .option("--progress-interval <duration>", "between lines with the sums in a log (default: 5s)", parseInterval)
    .option("--json", "print the result as one JSON object")
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .showHelpAfterError("(varve --help lists commands and options)");
  const run: Run = (command) => ({ options: command.optsWithGlobals(), signal });
  const remote = [addPull, addPush, addRegistry, addLogin, addArchives];
  const local = [
    addMount,
    addImages,
    addContent,
    addSnapshots,
    addLeases,
    addNamespaces,
    addStore,
    addLayer,
    addLayers,
  ];
  for (const add of [...remote, ...local, addServe, addContainerd]) add(program, run);
  return program;
}
