import type { Change } from "@varve/client";
import { printStream } from "../streamed-list.ts";
import type { ListOptions } from "../output.ts";
import { jsonBytes, shownBytes } from "../shown-bytes.ts";

const letters: Readonly<Record<Change["kind"], string>> = { added: "A", deleted: "D", modified: "M" };

/** Prints changes as they come, a line each. */
export async function printChanges(
  changes: AsyncIterable<Change>,
  options: ListOptions & { readonly signal: AbortSignal },
): Promise<void> {
  const form = {
    key: "changes",
    row: ({ kind, path }: Change) => [`${letters[kind]} /${shownBytes(path)}`],
    name: ({ path }: Change) => `/${shownBytes(path)}`,
    json: ({ kind, path }: Change) => ({ kind, ...jsonBytes("path", path) }),
  };
  await printStream(options, form, generate(changes));
}

async function* generate<T>(items: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  yield* items;
}
