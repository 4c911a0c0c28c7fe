import { Option } from "commander";
import type { Command } from "commander";
import type { Run } from "../command-run.ts";

export function addMount(program: Command, run: Run): void {
  program
    .command("mount")
    .description("mount a pulled image, or a snapshot, on a directory")
    .argument("<reference>", "an image, or with --snapshot the key of a snapshot")
    .argument("<dir>", "a directory that exists")
    .addOption(new Option("--view", "read-only (default)").conflicts(["rw", "writable"]))
    .option("--rw", "writes go to a snapshot that is thrown away at unmount, or to the writable snapshot")
    .addOption(new Option("--writable").hideHelp())
    .option(
      "--snapshot",
      "mount a snapshot: a committed one as an image, any other itself, which then outlives the mount",
    )
    .action(async (reference: string, dir: string, _own: unknown, command: Command) => {
      const { mount } = await import("../actions/mount.ts");
      await mount(reference, dir, run(command));
    });
  program
    .command("unmount")
    .alias("umount")
    .description("take off what mount put on a directory")
    .argument("<dir>")
    .option("--lazy", "detach also while something is open below")
    .action(async (dir: string, _own: unknown, command: Command) => {
      const { unmount } = await import("../actions/mount.ts");
      await unmount(dir, run(command));
    });
}
