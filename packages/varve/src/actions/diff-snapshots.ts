import type { Change, Client } from "@varve/client";
import { UsageError } from "../exit-code.ts";
import { mustHaveOneForm } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { byteOutput, unlessUnread } from "./byte-output.ts";
import { printWritten, writeOptions } from "./diff-layer.ts";
import type { WriteOptions } from "./diff-layer.ts";
import { printChanges } from "./print-changes.ts";
import { withSnapshotter } from "./with-snapshotter.ts";

interface DiffOptions extends WriteOptions {
  readonly tar?: boolean;
  readonly quiet?: boolean;
}

/** What the first snapshot changes on its parent, or what leads from the first to the second. */
export async function diffSnapshots(
  first: string,
  second: string | undefined,
  { options, signal }: CommandRun<DiffOptions>,
): Promise<void> {
  const key = second ?? first;
  const base = second === undefined ? undefined : first;
  if (options.tar === true) {
    const output = byteOutput("snapshots diff", options.output, { json: options.json, signal });
    const writing = { ...writeOptions("snapshots diff", options), base, signal };
    const write = ({ client }: { readonly client: Client }) =>
      client.writeLayer(key, (layer) => output.write(layer), writing);
    const written = await unlessUnread(output, () => withSnapshotter(options, write));
    await printWritten(written, output, options);
    return;
  }
  mustHaveOneForm(options);
  mustNotWrite(options);
  const print = (changes: AsyncIterable<Change>): Promise<void> => printChanges(changes, { ...options, signal });
  await withSnapshotter(options, ({ client }) => client.readChanges(key, print, { base, signal }));
}

function mustNotWrite({ compression, level, output }: DiffOptions): void {
  const given = Object.entries({ output, compression, level }).find(([, value]) => value !== undefined);
  if (given !== undefined) throw new UsageError(`snapshots diff: --${given[0]} needs --tar`);
}
