import type { Command } from "commander";
import { formatBytes, formatTable } from "../format.ts";
import { withClient } from "../globals.ts";
import type { GlobalOptions } from "../globals.ts";
import { createOutput } from "../output.ts";

export function addContentCommand(program: Command, signal: AbortSignal): void {
  const content = program.command("content").description("stored blobs, and downloads that were not finished");
  content
    .command("ls")
    .description("list blobs and ingests")
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      await withClient(options, async (client) => {
        const blobs = await Array.fromAsync(client.content.walk({ signal }));
        const ingests = await Array.fromAsync(client.content.statuses({ signal }));
        createOutput(options.json === true).result({ blobs, ingests }, () =>
          formatTable([
            ["STATE", "SIZE", "NAME"],
            ...blobs.map(({ digest, size }) => ["blob", formatBytes(size), digest]),
            ...ingests.map(({ ref, offset }) => ["ingest", formatBytes(offset), ref]),
          ]),
        );
      });
    });
}
