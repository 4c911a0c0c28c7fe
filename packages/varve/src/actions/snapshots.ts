import { hasCode } from "@varve/errors";
import type { SnapshotInfo, Snapshotter, Usage } from "@varve/snapshots";
import { formatBytes, formatTable } from "../format.ts";
import { withClient } from "../globals.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";

export async function listSnapshots({ options, signal }: CommandRun): Promise<void> {
  const snapshots = await withClient(options, async (client) =>
    list(await client.snapshotter(options.snapshotter), signal),
  );
  await printResult(options.json, { snapshots }, () =>
    formatTable([
      ["KIND", "SIZE", "INODES", "NAME", "PARENT"],
      ...snapshots.map(({ kind, name, parent, usage }) => [
        kind,
        formatBytes(usage.bytes),
        String(usage.inodes),
        name,
        parent ?? "-",
      ]),
    ]),
  );
}

interface Listed extends SnapshotInfo {
  readonly usage: Usage;
}

/** Parents before children; what is removed meanwhile is left out. */
async function list(snapshotter: Snapshotter, signal: AbortSignal): Promise<Listed[]> {
  const children = new Map<string | undefined, SnapshotInfo[]>();
  for await (const info of snapshotter.walk({ signal })) {
    const siblings = children.get(info.parent);
    if (siblings === undefined) children.set(info.parent, [info]);
    else siblings.push(info);
  }
  const listed: Listed[] = [];
  const pending = (children.get(undefined) ?? []).toReversed();
  for (let info = pending.pop(); info !== undefined; info = pending.pop()) {
    const usage = await usageOf(snapshotter, info.name, signal);
    if (usage !== undefined) listed.push({ ...info, usage });
    pending.push(...(children.get(info.name) ?? []).toReversed());
  }
  return listed;
}

async function usageOf(snapshotter: Snapshotter, name: string, signal: AbortSignal): Promise<Usage | undefined> {
  try {
    return await snapshotter.usage(name, { signal });
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return undefined;
    throw error;
  }
}
