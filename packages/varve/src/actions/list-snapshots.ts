import { hasCode } from "@varve/errors";
import type { SnapshotInfo, Snapshotter, Usage } from "@varve/snapshots";
import { formatBytes } from "../format.ts";
import { printList, printResult } from "../output.ts";
import type { ListOptions } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { parentsFirst } from "./snapshot-order.ts";
import type { PlacedSnapshot } from "./snapshot-order.ts";
import { withSnapshotter } from "./with-snapshotter.ts";

interface FilterOptions {
  readonly filter?: readonly string[];
}

interface Listed extends SnapshotInfo {
  readonly usage: Usage;
}

interface NamedUsage extends Usage {
  readonly name: string;
}

/** Parents before children. */
export async function listSnapshots(
  filters: readonly string[],
  { options, signal }: CommandRun<ListOptions & FilterOptions>,
): Promise<void> {
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
  const all = [...(options.filter ?? []), ...filters];
  await printList(options, form, () =>
    withSnapshotter(options, async ({ snapshotter }) => {
      const listed: Listed[] = [];
      for (const { info } of await ordered(snapshotter, all, signal)) {
        const usage = await usageIfThere(snapshotter, info.name, signal);
        if (usage !== undefined) listed.push({ ...info, usage });
      }
      return listed;
    }),
  );
}

/** Each below what it stands on, and further to the right. */
export async function showTree(filters: readonly string[], run: CommandRun<FilterOptions>): Promise<void> {
  const { options, signal } = run;
  const all = [...(options.filter ?? []), ...filters];
  const placed = await withSnapshotter(options, ({ snapshotter }) => ordered(snapshotter, all, signal));
  const value = { snapshots: placed.map(({ depth, info }) => ({ depth, ...info })) };
  await printResult(options.json, value, () => placed.map(treeLine));
}

/** Of these snapshots, or of all. */
export async function showSnapshotUsage(names: readonly string[], { options, signal }: CommandRun): Promise<void> {
  const form = {
    key: "usage",
    header: ["SIZE", "INODES", "NAME"],
    row: ({ bytes, inodes, name }: NamedUsage) => [formatBytes(bytes), String(inodes), name],
    name: ({ name }: NamedUsage) => name,
  };
  await printList(options, form, () =>
    withSnapshotter(options, async ({ snapshotter }) => {
      const listed: NamedUsage[] = [];
      for (const name of names) listed.push({ name, ...(await snapshotter.usage(name, { signal })) });
      if (names.length > 0) return listed;
      for (const { info } of await ordered(snapshotter, [], signal)) {
        const usage = await usageIfThere(snapshotter, info.name, signal);
        if (usage !== undefined) listed.push({ name: info.name, ...usage });
      }
      return listed;
    }),
  );
}

async function ordered(
  snapshotter: Snapshotter,
  filters: readonly string[],
  signal: AbortSignal,
): Promise<PlacedSnapshot[]> {
  return parentsFirst(await Array.fromAsync(snapshotter.walk({ filters, signal })));
}

function treeLine({ depth, info: { kind, name } }: PlacedSnapshot): string {
  return `${"  ".repeat(depth)}${name}${kind === "committed" ? "" : ` (${kind})`}`;
}

/** Nothing of what was removed since it was listed. */
async function usageIfThere(snapshotter: Snapshotter, name: string, signal: AbortSignal): Promise<Usage | undefined> {
  try {
    return await snapshotter.usage(name, { signal });
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return undefined;
    throw error;
  }
}
