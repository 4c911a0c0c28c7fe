import type { Client, PullResult } from "@varve/client";
import { formatBytes, formatDuration } from "../format.ts";
import { withClient } from "../globals.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { createProgressView } from "../progress/progress-view.ts";
import { checkUsage } from "./check-usage.ts";
import { writeDigestFile } from "./digest-file.ts";
import { hostOf } from "./host-of.ts";
import { quietly } from "./quiet.ts";
import type { QuietOption } from "./quiet.ts";

interface PullOptions extends QuietOption {
  readonly digestfile?: string;
  readonly checkSpace?: boolean;
}

export async function pull(reference: string, { options: asked, signal }: CommandRun<PullOptions>): Promise<void> {
  const options = quietly(asked);
  checkUsage(reference, options.platform);
  const view = createProgressView(options.progress, { intervalMs: options.progressInterval });
  const pulling = (client: Client): Promise<PullResult> => {
    const { checkSpace, platform } = options;
    return client.pull(reference, { platform, checkSpace, signal, onProgress: view.onProgress });
  };
  const result = await withClient(options, pulling, [hostOf(reference)]).finally(() => view.finish());
  view.summarize(result.summary);
  await writeDigestFile(options.digestfile, result.target.digest);
  await printResult(options.json, result, () => (options.quiet === true ? [result.target.digest] : summary(result)));
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
