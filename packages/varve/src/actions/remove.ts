import { parseDigest } from "@varve/digest";
import { describeError } from "@varve/errors";
import { withClient } from "../globals.ts";
import { printNote, printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { findImage } from "./find-image.ts";

export async function removeImages(references: readonly string[], run: CommandRun): Promise<void> {
  await withClient(run.options, async ({ images }) => {
    await removeEach(references, run, async (reference, signal) => {
      const { name } = await findImage(images, reference, { signal });
      await images.delete(name, { signal });
      return name;
    });
  });
}

export async function removeContent(digests: readonly string[], run: CommandRun): Promise<void> {
  const parsed = digests.map(parseDigest);
  await withClient(run.options, async ({ content }) => {
    await removeEach(parsed, run, async (digest, signal) => {
      await content.delete(digest, { signal });
      return digest;
    });
  });
}

export async function removeLeases(ids: readonly string[], run: CommandRun): Promise<void> {
  await withClient(run.options, async ({ leases }) => {
    await removeEach(ids, run, async (id, signal) => {
      await leases.delete(id, { signal });
      return id;
    });
  });
}

/** One after the other, and prints what is gone. What cannot be removed does not keep the rest; the first failure is thrown. */
async function removeEach<T extends string>(
  names: readonly T[],
  { options, signal }: CommandRun,
  remove: (name: T, signal: AbortSignal) => Promise<string>,
): Promise<void> {
  const removed: string[] = [];
  const failures: unknown[] = [];
  for (const name of new Set(names)) {
    try {
      removed.push(await remove(name, signal));
    } catch (error) {
      failures.push(error);
      if (signal.aborted) break;
    }
  }
  await printResult(options.json, { removed }, () => removed);
  if (removed.length > 0 && options.progress !== "none") printNote("varve gc frees the space");
  for (const failure of failures.slice(1)) printNote(`varve: ${describeError(failure)}`);
  if (failures.length > 0) throw failures[0];
}
