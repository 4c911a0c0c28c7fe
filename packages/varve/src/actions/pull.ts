import type { PullResult } from "@varve/client";
import { formatBytes, formatDuration } from "../format.ts";
import { withClient } from "../globals.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { createProgressView } from "../progress/progress-view.ts";
import { checkUsage } from "./check-usage.ts";

export async function pull(reference: string, { options, signal }: CommandRun): Promise<void> {
  checkUsage(reference, options.platform);
  const view = createProgressView(options.progress);
  const result = await withClient(options, async (client) => {
    try {
      return await client.pull(reference, { platform: options.platform, signal, onProgress: view.onProgress });
    } finally {
      view.finish();
    }
  });
  await printResult(options.json, result, () => summary(result));
}

function summary(result: PullResult): string[] {
  const unpacked = result.layers.filter(({ status }) => status === "unpacked");
  const bytes = formatBytes(unpacked.reduce((total, { size }) => total + size, 0));
  const layers = `${unpacked.length} of ${result.layers.length} layers unpacked (${bytes})`;
  return [
    `${result.name} ${result.target.digest}`,
    `${layers} for ${result.platform} by ${result.snapshotter} in ${formatDuration(result.durationMs)}`,
    `chain ${result.chainId}`,
  ];
}
