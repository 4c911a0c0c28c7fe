import { readdir } from "node:fs/promises";
import { isDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { openDirectory } from "./files.ts";
import { isCacheId, orNothing, readText } from "./layerdb.ts";

/** A container's layer as moby has recorded it. */
export interface MobyContainer {
  readonly name: string;
  /** What the driver calls its changes. */
  readonly mountId: string;
  /** What the driver calls the layer between the parent and the changes. */
  readonly initId: string | undefined;
  readonly parent: Digest | undefined;
}

/** A container's layer that cannot be had. */
export interface BrokenMobyContainer {
  readonly name: string;
  /** What is wrong; where it is a layer below, that one's error is the `cause`. */
  readonly error: Error;
}

/** What a layerdb says of the layers of containers, by name (S1.6). What is no directory is passed over. */
export async function* readContainers(
  layerdb: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<BrokenMobyContainer | MobyContainer, void, undefined> {
  for (const name of await containerNames(layerdb)) {
    signal?.throwIfAborted();
    yield await readContainer(layerdb, name).catch((error: unknown) => brokenContainer(name, error));
  }
}

export function brokenContainer(name: string, error: unknown): BrokenMobyContainer {
  return { name, error: error instanceof Error ? error : new Error(String(error)) };
}

async function containerNames(layerdb: string): Promise<readonly string[]> {
  try {
    const directory = await openDirectory(layerdb, ["mounts"], `moby layerdb ${layerdb}: mounts`);
    try {
      const entries = await readdir(directory.path, { withFileTypes: true });
      return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).toSorted();
    } finally {
      await directory.close();
    }
  } catch (error) {
    // There never was a container.
    if (hasCode(error, "ERR_DATA_LOSS")) return [];
    throw error;
  }
}

/** All but `init-id` and `parent` has to be there (S1.70). */
async function readContainer(layerdb: string, name: string): Promise<MobyContainer> {
  const subject = `container ${name}`;
  const directory = await openDirectory(layerdb, ["mounts", name], subject);
  try {
    const mountId = await readText(directory, subject, { name: "mount-id", form: isCacheId });
    const initId = await orNothing(readText(directory, subject, { name: "init-id", form: isCacheId }));
    const parent = await orNothing(readText(directory, subject, { name: "parent", form: isDigest }));
    return { name, mountId, initId, parent };
  } finally {
    await directory.close();
  }
}
