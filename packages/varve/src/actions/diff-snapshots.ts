import type { Change, Client } from "@varve/client";
import { UsageError } from "../exit-code.ts";
import { mustHaveOneForm } from "../output.ts";
import { printStream } from "../streamed-list.ts";
import { jsonBytes, shownBytes } from "../shown-bytes.ts";
import type { CommandRun } from "../command-run.ts";
import { byteOutput, unlessUnread } from "./byte-output.ts";
import { printWritten, writeOptions } from "./diff-layer.ts";
import type { WriteOptions } from "./diff-layer.ts";
import { withSnapshotter } from "./with-snapshotter.ts";

interface DiffOptions extends WriteOptions {
  readonly tar?: boolean;
  readonly quiet?: boolean;
}

const letters: Readonly<Record<Change["kind"], string>> = { added: "A", deleted: "D", modified: "M" };

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
  const form = {
    key: "changes",
    row: ({ kind, path }: Change) => [`${letters[kind]} /${shownBytes(path)}`],
    name: ({ path }: Change) => `/${shownBytes(path)}`,
    json: ({ kind, path }: Change) => ({ kind, ...jsonBytes("path", path) }),
  };
  const print = (changes: AsyncIterable<Change>): Promise<void> =>
    printStream({ ...options, signal }, form, generate(changes));
  await withSnapshotter(options, ({ client }) => client.readChanges(key, print, { base, signal }));
}

async function* generate<T>(items: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  yield* items;
}

function mustNotWrite({ compression, level, output }: DiffOptions): void {
  const given = Object.entries({ output, compression, level }).find(([, value]) => value !== undefined);
  if (given !== undefined) throw new UsageError(`snapshots diff: --${given[0]} needs --tar`);
}
