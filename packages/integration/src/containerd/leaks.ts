import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Snapshotter } from "@varve/snapshots";
import { mountsBelow } from "./mounts-below.ts";

/** The directories of snapshots that a store has on the disk, and what else is there but its record. */
export async function directoriesOf(root: string): Promise<string[]> {
  return (await readdir(root)).filter((name) => !name.startsWith("metadata.db")).toSorted();
}

/** What there is in a store that nobody uses any more, a line each: records, directories, and mounts of them. */
export async function leaksOf(snapshotter: Snapshotter, root: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const { kind, name } of snapshotter.walk()) lines.push(`${kind} snapshot ${name}`);
  lines.push(...(await directoriesOf(root)).map((name) => `directory ${name}`));
  return lines;
}

/** What is mounted below a containerd's directory, and what is left of its work. */
export async function leaksOfContainerd(directory: string): Promise<string[]> {
  const ingests = await filesIn(join(directory, "root/io.containerd.content.v1.content/ingest"));
  // When it starts it takes off what is mounted there; an empty directory that nothing is mounted on it leaves (1.6).
  const places = await filesIn(join(directory, "root/tmpmounts"));
  const mounted = await Promise.all(places.map(filesIn));
  return [...(await mountsBelow(directory)).map((target) => `mount ${target}`), ...ingests, ...mounted.flat()];
}

async function filesIn(directory: string): Promise<string[]> {
  return (await readdir(directory).catch(() => [])).map((name) => join(directory, name));
}
