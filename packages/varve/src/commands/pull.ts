import type { PullResult } from "@varve/client";
import { parseReference } from "@varve/reference";
import { parsePlatform } from "@varve/oci";
import type { Command } from "commander";
import { UsageError } from "../exit-code.ts";
import { formatBytes, formatDuration } from "../format.ts";
import { withClient } from "../globals.ts";
import type { GlobalOptions } from "../globals.ts";
import { createOutput } from "../output.ts";
import { createProgressView } from "../progress/progress-view.ts";

export function addPullCommand(program: Command, signal: AbortSignal): void {
  program
    .command("pull")
    .description("fetch an image and unpack it")
    .argument("<reference>", "as docker takes it: debian, localhost:5000/app:v1, name@sha256:…")
    .action(async (reference: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      checkUsage(reference, options.platform);
      const view = createProgressView(options.progress);
      const result = await withClient(options, async (client) => {
        try {
          return await client.pull(reference, { platform: options.platform, signal, onProgress: view.onProgress });
        } finally {
          view.finish();
        }
      });
      createOutput(options.json === true).result(result, () => summary(result));
    });
}

/** Tells a wrong command line from a wrong image before anything is asked for. */
export function checkUsage(reference: string, platform?: string): void {
  try {
    parseReference(reference);
    if (platform !== undefined) parsePlatform(platform);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function summary(result: PullResult): string {
  const unpacked = result.layers.filter(({ status }) => status === "unpacked");
  const bytes = formatBytes(unpacked.reduce((total, { size }) => total + size, 0));
  const layers = `${unpacked.length} of ${result.layers.length} layers unpacked (${bytes})`;
  return [
    `${result.name} ${result.target.digest}`,
    `${layers} for ${result.platform} by ${result.snapshotter} in ${formatDuration(result.durationMs)}`,
    `chain ${result.chainId}`,
  ].join("\n");
}
