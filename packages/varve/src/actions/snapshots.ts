import { hasCode } from "@varve/errors";
import type { SnapshotInfo, Snapshotter, Usage } from "@varve/snapshots";
import { formatBytes } from "../format.ts";
import { withClient } from "../globals.ts";
import { printList } from "../output.ts";
import type { ListOptions } from "../output.ts";
import type { CommandRun } from "../command-run.ts";

export async function listSnapshots({ options, signal }: CommandRun<ListOptions>): Promise<void> {
  const form = {
    key: "snapshots",
    header: ["KIND", "SIZE", "INODES", "NAME", "PARENT"],
    row: ({ kind, name, parent, usage }: Listed) => [
      kind,
      formatBytes(usage.bytes),
      String(usage.inodes),
      name,
      parent ?? "-",
    ],
    name: ({ name }: Listed) => name,
  };
  await printList(options, form, () =>
    withClient(options, async (client) => list(await client.snapshotter(options.snapshotter), signal)),
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
