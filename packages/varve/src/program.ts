import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import type { CommandRun } from "./command-run.ts";
import { progressModes } from "./progress/progress-modes.ts";

/** The command line. `signal` aborts whatever command runs. */
export function createProgram(signal: AbortSignal): Command {
  const program = new Command("varve")
    .description("Container images without a daemon: pull, unpack, mount.")
    .version(version(), "-V, --version", "print the version")
    .option(
      "--root <dir>",
      "where images are kept (default: /var/lib/varve for root, the XDG state directory for others)",
    )
    .option("--platform <platform>", "os/architecture[/variant] (default: this machine's)")
    .addOption(
      new Option("--snapshotter <name>", "how layers are kept (default: overlay for root, native for others)").choices([
        "overlay",
        "native",
      ]),
    )
    .option("--plain-http", "talk http to registries that are not on this machine, too")
    .addOption(new Option("--progress <mode>", "on standard error").choices(progressModes).default("auto"))
    .option("--json", "print the result as one JSON object")
    .exitOverride()
    .showHelpAfterError("(varve --help lists commands and options)");
  const run = <Own>(command: Command): CommandRun<Own> => ({ options: command.optsWithGlobals(), signal });
  addPull(program, run);
  addMount(program, run);
  addLists(program, run);
  addLayer(program, run);
  addServe(program, run);
  return program;
}

type Run = <Own>(command: Command) => CommandRun<Own>;

function addPull(program: Command, run: Run): void {
  program
    .command("pull")
    .description("fetch an image and unpack it")
    .argument("<reference>", "as docker takes it: debian, localhost:5000/app:v1, name@sha256:…")
    .action(async (reference: string, _own: unknown, command: Command) => {
      const { pull } = await import("./actions/pull.ts");
      await pull(reference, run(command));
    });
}

function addMount(program: Command, run: Run): void {
  program
    .command("mount")
    .description("mount a pulled image on a directory")
    .argument("<reference>")
    .argument("<dir>", "a directory that exists")
    .option("--writable", "writes go to a snapshot that is thrown away at unmount")
    .action(async (reference: string, dir: string, _own: unknown, command: Command) => {
      const { mount } = await import("./actions/mount.ts");
      await mount(reference, dir, run(command));
    });
  program
    .command("unmount")
    .alias("umount")
    .description("take off what mount put on a directory")
    .argument("<dir>")
    .option("--lazy", "detach also while something is open below")
    .action(async (dir: string, _own: unknown, command: Command) => {
      const { unmount } = await import("./actions/mount.ts");
      await unmount(dir, run(command));
    });
}

function addLists(program: Command, run: Run): void {
  program
    .command("images")
    .description("names and what they stand for")
    .command("ls")
    .description("list images")
    .action(async (_own: unknown, command: Command) => {
      const { listImages } = await import("./actions/lists.ts");
      await listImages(run(command));
    });
  program
    .command("snapshots")
    .description("unpacked layers, and what is mounted")
    .command("ls")
    .description("list snapshots, parents before children")
    .action(async (_own: unknown, command: Command) => {
      const { listSnapshots } = await import("./actions/snapshots.ts");
      await listSnapshots(run(command));
    });
  program
    .command("content")
    .description("stored blobs, and downloads that were not finished")
    .command("ls")
    .description("list blobs and ingests")
    .action(async (_own: unknown, command: Command) => {
      const { listContent } = await import("./actions/lists.ts");
      await listContent(run(command));
    });
}

function addLayer(program: Command, run: Run): void {
  program
    .command("layer")
    .description("single layers, outside of the store")
    .command("apply")
    .description("apply layers to a directory, the lowest first")
    .argument("<layers...>", "tar, tar.gz or tar.zst files, - for standard input; then the directory")
    .usage("[options] <layer...> <dir>")
    .action(async (words: string[], _own: unknown, command: Command) => {
      const { applyLayerFiles } = await import("./actions/layer.ts");
      await applyLayerFiles(words, run(command));
    });
}

function addServe(program: Command, run: Run): void {
  program
    .command("serve")
    .description("serve the stored images as a registry, until interrupted; whoever reaches it may read and push")
    .requiredOption("--listen <host:port>", "where to listen, for instance 127.0.0.1:5000")
    .option("--read-only", "refuse pushes and deletions")
    .action(async (_own: unknown, command: Command) => {
      const { serve } = await import("./actions/serve.ts");
      await serve(run(command));
    });
}

function version(): string {
  const file = new URL("../package.json", import.meta.url);
  const description: unknown = JSON.parse(readFileSync(file, "utf8"));
  const known = typeof description === "object" && description !== null && "version" in description;
  return known ? String(description.version) : "0";
}
