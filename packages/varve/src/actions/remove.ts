import { parseDigest } from "@varve/digest";
import { describeError } from "@varve/errors";
import { withClient } from "../globals.ts";
import { printNote, printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { findImage } from "./find-image.ts";
import { withSnapshotter } from "./with-snapshotter.ts";

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

/** What stands on another has to be named before it. */
export async function removeSnapshots(keys: readonly string[], run: CommandRun): Promise<void> {
  await withSnapshotter(run.options, async ({ snapshotter, mustBeUnmounted, locate }) => {
    const remove = async (key: string, signal: AbortSignal): Promise<string> => {
      try {
        await mustBeUnmounted(key, signal);
        await snapshotter.remove(key, { signal });
        return key;
      } catch (error) {
        throw locate(error);
      }
    };
    await removeEach(keys, run, remove, { space: "freed" });
  });
}

interface Consequence {
  /** `kept`: a collection frees it; `elsewhere`: it is none of ours. */
  readonly space: "kept" | "freed" | "elsewhere";
}

/** One after the other, and prints what is gone. What cannot be removed does not keep the rest; the first failure is thrown. */
export async function removeEach<T extends string>(
  names: readonly T[],
  { options, signal }: CommandRun,
  remove: (name: T, signal: AbortSignal) => Promise<string | readonly string[]>,
  { space }: Consequence = { space: "kept" },
): Promise<void> {
  const removed: string[] = [];
  const failures: unknown[] = [];
  for (const name of new Set(names)) {
    try {
      removed.push(...[await remove(name, signal)].flat());
    } catch (error) {
      failures.push(error);
      if (signal.aborted) break;
    }
  }
  await printResult(options.json, { removed }, () => removed);
  // A containerd collects by itself.
  const isKept = space === "kept" && options.containerd === undefined;
  if (isKept && removed.length > 0 && options.progress !== "none") printNote("varve gc frees the space");
  for (const failure of failures.slice(1)) printNote(`varve: ${describeError(failure)}`);
  if (failures.length > 0) throw failures[0];
}
