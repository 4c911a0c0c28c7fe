import type { Command } from "commander";
import { formatTable } from "../format.ts";
import { withClient } from "../globals.ts";
import type { GlobalOptions } from "../globals.ts";
import { createOutput } from "../output.ts";

export function addImagesCommand(program: Command, signal: AbortSignal): void {
  const images = program.command("images").description("names and what they stand for");
  images
    .command("ls")
    .description("list images")
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      await withClient(options, async (client) => {
        const all = await Array.fromAsync(client.images.list({ signal }));
        createOutput(options.json === true).result({ images: all }, () =>
          formatTable([
            ["NAME", "MEDIA TYPE", "DIGEST", "UPDATED"],
            ...all.map(({ name, target, updatedAt }) => [name, target.mediaType, target.digest, updatedAt.toISOString()]),
          ]),
        );
      });
    });
}
