import type { SnapshotInfo, Snapshotter, Usage } from "@varve/snapshots";
import type { Command } from "commander";
import { formatBytes, formatTable } from "../format.ts";
import { withClient } from "../globals.ts";
import type { GlobalOptions } from "../globals.ts";
import { createOutput } from "../output.ts";

export function addSnapshotsCommand(program: Command, signal: AbortSignal): void {
  const snapshots = program.command("snapshots").description("unpacked layers, and what is mounted");
  snapshots
    .command("ls")
    .description("list snapshots, parents before children")
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      await withClient(options, async (client) => {
        const snapshotter = await client.snapshotter(options.snapshotter);
        const listed = await list(snapshotter, signal);
        createOutput(options.json === true).result({ snapshots: listed }, () =>
          formatTable([
            ["KIND", "SIZE", "INODES", "NAME", "PARENT"],
            ...listed.map(({ kind, name, parent, usage }) => [
              kind,
              formatBytes(usage.bytes),
              String(usage.inodes),
              name,
              parent ?? "-",
            ]),
          ]),
        );
      });
    });
}

interface Listed extends SnapshotInfo {
  readonly usage: Usage;
}

async function list(snapshotter: Snapshotter, signal: AbortSignal): Promise<Listed[]> {
  const children = new Map<string | undefined, SnapshotInfo[]>();
  for await (const info of snapshotter.walk({ signal })) {
    children.set(info.parent, [...(children.get(info.parent) ?? []), info]);
  }
  const listed: Listed[] = [];
  const pending = [...(children.get(undefined) ?? [])].reverse();
  for (let info = pending.pop(); info !== undefined; info = pending.pop()) {
    listed.push({ ...info, usage: await snapshotter.usage(info.name, { signal }) });
    pending.push(...(children.get(info.name) ?? []).toReversed());
  }
  return listed;
}
