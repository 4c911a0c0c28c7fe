import { resolve } from "node:path";
import type { Command } from "commander";
import { withClient } from "../globals.ts";
import type { GlobalOptions } from "../globals.ts";
import { createOutput } from "../output.ts";
import { checkUsage } from "./pull.ts";

export function addMountCommands(program: Command, signal: AbortSignal): void {
  program
    .command("mount")
    .description("mount a pulled image on a directory")
    .argument("<reference>")
    .argument("<dir>", "a directory that exists")
    .option("--writable", "writes go to a snapshot that is thrown away at unmount")
    .action(async (reference: string, dir: string, own: { writable?: boolean }, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      checkUsage(reference, options.platform);
      const directory = resolve(dir);
      const { platform } = options;
      await withClient(options, (client) =>
        client.mount(reference, directory, { platform, writable: own.writable, signal }),
      );
      createOutput(options.json === true).result({ reference, directory }, () => directory);
    });
  program
    .command("unmount")
    .alias("umount")
    .description("take off what mount put on a directory")
    .argument("<dir>")
    .option("--lazy", "detach also while something is open below")
    .action(async (dir: string, own: { lazy?: boolean }, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const directory = resolve(dir);
      await withClient(options, (client) => client.unmount(directory, { lazy: own.lazy, signal }));
      createOutput(options.json === true).result({ directory }, () => "");
    });
}
