import { resolve } from "node:path";
import { labelGcRoot } from "@varve/content";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { mountLines, noteLongOptions } from "./mount-lines.ts";
import { withSnapshotter } from "./with-snapshotter.ts";

interface LabelOptions {
  readonly label?: Readonly<Record<string, string>>;
}

interface StartOptions extends LabelOptions {
  /** Print the commands that mount it. */
  readonly mounts?: boolean;
  /** The same, for this directory. */
  readonly target?: string;
}

/** What is to be made. */
export interface NewSnapshot {
  readonly call: "prepare" | "view";
  readonly key: string;
  readonly parent: string | undefined;
}

/** Makes a snapshot that is there until somebody removes it. */
export async function startSnapshot(
  { call, key, parent }: NewSnapshot,
  { options, signal }: CommandRun<StartOptions>,
): Promise<void> {
  const mounts = await withSnapshotter(options, ({ snapshotter }) =>
    snapshotter[call](key, parent, { labels: lasting(options), signal }),
  );
  const kind = call === "prepare" ? "active" : "view";
  const isMounts = options.mounts === true || options.target !== undefined;
  const target = options.target === undefined ? undefined : resolve(options.target);
  await printResult(options.json, { kind, name: key, parent, mounts }, () =>
    isMounts ? mountLines(key, mounts, target) : [key],
  );
  if (isMounts) noteLongOptions(mounts, options);
}

export async function commitSnapshot(
  name: string,
  key: string,
  { options, signal }: CommandRun<LabelOptions>,
): Promise<void> {
  await withSnapshotter(options, async ({ snapshotter, mustBeUnmounted }) => {
    await mustBeUnmounted(key, signal);
    await snapshotter.commit(name, key, { labels: lasting(options), signal });
  });
  await printResult(options.json, { kind: "committed", name, key }, () => [name]);
}

/** Nothing else keeps what somebody makes by hand. */
function lasting({ label }: LabelOptions): Readonly<Record<string, string>> {
  return { [labelGcRoot]: new Date().toISOString(), ...label };
}
