import type { StoreUsage } from "@varve/client";
import { formatBytes, formatTable } from "../format.ts";
import { withClient } from "../globals.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";

export async function showUsage({ options, signal }: CommandRun): Promise<void> {
  const usage = await withClient(options, (client) => client.usage({ signal }));
  await printResult(options.json, usage, () => table(usage));
}

function table({ content, ingests, quarantined, reclaimable, snapshots }: StoreUsage): string[] {
  const rows = [
    ["content", content],
    ["ingests", ingests],
    ["quarantined", quarantined],
    ...Object.entries(snapshots).map(([name, usage]) => [`snapshots (${name})`, usage] as const),
  ] as const;
  const all = rows.map(([, usage]) => usage);
  const total = {
    count: all.reduce((sum, { count }) => sum + count, 0),
    bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
  };
  return formatTable([
    ["TYPE", "COUNT", "SIZE"],
    ...[...rows, ["total", total] as const, ["reclaimable by gc", reclaimable] as const].map(
      ([type, { count, bytes }]) => [type, String(count), formatBytes(bytes)],
    ),
  ]);
}
