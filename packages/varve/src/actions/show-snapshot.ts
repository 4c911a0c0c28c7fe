import { resolve } from "node:path";
import { printableJsonLines } from "../printable.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { mountLines, noteLongOptions } from "./mount-lines.ts";
import { withSnapshotter } from "./with-snapshotter.ts";

/** Always JSON: in several lines for people, in one with `--json`. */
export async function showSnapshot(name: string, { options, signal }: CommandRun): Promise<void> {
  const info = await withSnapshotter(options, ({ snapshotter }) => snapshotter.stat(name, { signal }));
  await printResult(options.json, info, () => printableJsonLines(info));
}

/** The commands that mount a snapshot, as lines for a shell. */
export async function showMounts(
  key: string,
  target: string | undefined,
  { options, signal }: CommandRun,
): Promise<void> {
  const mounts = await withSnapshotter(options, ({ snapshotter }) => snapshotter.mounts(key, { signal }));
  const directory = target === undefined ? undefined : resolve(target);
  await printResult(options.json, { name: key, mounts }, () => mountLines(key, mounts, directory));
  noteLongOptions(mounts, options);
}
