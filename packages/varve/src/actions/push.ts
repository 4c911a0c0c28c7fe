import type { Client, PushResult } from "@varve/client";
import type { CommandRun } from "../command-run.ts";
import { formatBytes, formatDuration } from "../format.ts";
import { withClient } from "../globals.ts";
import { printResult } from "../output.ts";
import { createProgressView } from "../progress/progress-view.ts";
import type { RegistryFlags } from "../registry-options.ts";
import { checkUsage } from "./check-usage.ts";
import { writeDigestFile } from "./digest-file.ts";
import { hostOf } from "./host-of.ts";
import { onePlatform } from "./platform-option.ts";
import { quietly } from "./quiet.ts";
import type { QuietOption } from "./quiet.ts";

export interface SendOptions extends RegistryFlags, QuietOption {
  readonly tag?: readonly string[];
  readonly allowNondistributable?: boolean;
  readonly digestfile?: string;
}

export async function push(
  name: string,
  destination: string | undefined,
  { options: asked, signal }: CommandRun<SendOptions>,
): Promise<void> {
  const options = quietly(asked);
  const to = destination ?? name;
  checkUsage(to, onePlatform(options.platform));
  const view = createProgressView(options.progress, { rows: "sent blobs", intervalMs: options.progressInterval });
  const pushing = (client: Client): Promise<PushResult> =>
    client.push(name, {
      to,
      tags: options.tag,
      platform: options.platform,
      nonDistributable: options.allowNondistributable,
      onProgress: view.onProgress,
      signal,
    });
  const result = await withClient(options, pushing, [hostOf(to)]).finally(() => view.finish());
  await writeDigestFile(options.digestfile, result.target.digest);
  await printResult(options.json, result, () =>
    options.quiet === true ? [result.target.digest] : sendSummary(result),
  );
}

export function sendSummary(
  result: Omit<PushResult, "target"> & { readonly target: { readonly digest: string } },
): string[] {
  const { existed, mounted, name, sent, sentBytes, durationMs, target } = result;
  const parts = [`${sent} sent (${formatBytes(sentBytes)})`, `${mounted} mounted`, `${existed} were there`];
  return [`${name} ${target.digest}`, `${parts.join(", ")} in ${formatDuration(durationMs)}`];
}
