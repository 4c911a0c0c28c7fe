import type { Client, FetchResult } from "@varve/client";
import { formatBytes, formatCount, formatDuration } from "../format.ts";
import { withClient } from "../globals.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { createProgressView } from "../progress/progress-view.ts";
import { checkUsage } from "./check-usage.ts";
import { hostOf } from "./host-of.ts";
import { onePlatform } from "./platform-option.ts";

/** Pull without unpacking (G-39). */
export async function fetchImage(reference: string, { options, signal }: CommandRun): Promise<void> {
  const { platform } = options;
  checkUsage(reference, onePlatform(platform));
  const view = createProgressView(options.progress, { rows: "blobs", intervalMs: options.progressInterval });
  const fetching = (client: Client): Promise<FetchResult> =>
    client.fetch(reference, { platform, signal, onProgress: view.onProgress });
  const result = await withClient(options, fetching, [hostOf(reference)]).finally(() => view.finish());
  await printResult(options.json, result, () => summary(result));
}

function summary({ name, target, blobs, bytes, durationMs }: FetchResult): string[] {
  return [
    `${name} ${target.digest}`,
    `${formatCount(blobs, "blob")} (${formatBytes(bytes)}) stored in ${formatDuration(durationMs)}`,
  ];
}
