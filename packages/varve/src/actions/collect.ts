import type { CollectedItem, CollectReport } from "@varve/client";
import { describeError } from "@varve/errors";
import { formatBytes, formatCount, formatDuration, formatTable } from "../format.ts";
import { withClient } from "../globals.ts";
import { printNote, printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { itemName, itemType } from "./item-name.ts";

interface CollectOptions {
  readonly dryRun?: boolean;
  /** Milliseconds. */
  readonly ingestAge?: number;
}

/** What cannot be removed is told, and fails the command when all else is done (G-42). */
export async function collect({ options, signal }: CommandRun<CollectOptions>): Promise<void> {
  const { dryRun = false, ingestAge: ingestAgeMs } = options;
  const report = await withClient(options, (client) => client.gc({ dryRun, ingestAgeMs, signal }));
  const failed = report.failed.map(({ item, error }) => ({ item, error: describeError(error) }));
  await printResult(options.json, { ...report, failed, dryRun }, () => lines(report, dryRun));
  for (const { item, error } of failed) printNote(`${itemName(item)}: not removed: ${error}`);
  if (failed.length > 0) {
    throw new Error(`gc: ${formatCount(failed.length, "thing")} could not be removed, the next run tries again`);
  }
}

function lines(report: CollectReport, dryRun: boolean): string[] {
  const { bytes, durationMs, kept, removed } = report;
  const verb = dryRun ? "would remove" : "removed";
  const summary = `${verb} ${formatCount(removed.length, "thing")}, ${formatBytes(bytes)}; ${kept} kept`;
  const time = dryRun ? "" : ` (${formatDuration(durationMs)})`;
  return [...(removed.length === 0 ? [] : table(removed)), `${summary}${time}`];
}

function table(removed: readonly CollectedItem[]): string[] {
  return formatTable([
    ["NAMESPACE", "TYPE", "SIZE", "NAME", "REASON"],
    ...removed.map((item) => [item.namespace || "-", itemType(item), formatBytes(item.bytes), item.id, item.reason]),
  ]);
}
