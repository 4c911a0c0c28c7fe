import { randomUUID } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { OpenSnapshotter } from "@varve/client";
import { currentOwner, isOwnerAlive } from "@varve/locks";
import { openOverlaySnapshotter } from "@varve/snapshots-overlay";

/**
 * The overlay snapshotter, which fails to prepare a layer that somebody alive is writing at the time: it makes a file in
 * `directory` for each layer that is prepared, and removes it with the commit or the removal.
 *
 * @param onPrepared called when a layer is prepared, and before it can be written
 */
export function markedOverlay(directory: string, onPrepared: () => void = () => undefined): OpenSnapshotter {
  return async (root) => {
    const snapshotter = await openOverlaySnapshotter({ root, durability: "none" });
    const prepare = snapshotter.prepare.bind(snapshotter);
    const commit = snapshotter.commit.bind(snapshotter);
    const remove = snapshotter.remove.bind(snapshotter);
    snapshotter.prepare = async (key, parent, options) => {
      enter(directory, key);
      try {
        const mounts = await prepare(key, parent, options);
        if (markerOf(directory, key) !== undefined) onPrepared();
        return mounts;
      } catch (error) {
        leave(directory, key);
        throw error;
      }
    };
    snapshotter.commit = async (name, key, options) => {
      await commit(name, key, options);
      leave(directory, key);
    };
    snapshotter.remove = async (key, options) => {
      await remove(key, options);
      leave(directory, key);
    };
    return snapshotter;
  };
}

/** The layer that an extraction's key names. */
function markerOf(directory: string, key: string): string | undefined {
  const chain = /extract-.* sha256:([0-9a-f]{64})/.exec(key)?.[1];
  return chain === undefined ? undefined : join(directory, chain);
}

function enter(directory: string, key: string): void {
  const marker = markerOf(directory, key);
  if (marker === undefined) return;
  const mine = `${marker}.${process.pid}`;
  writeFileSync(mine, `${currentOwner()} ${key}`);
  try {
    for (;;) {
      try {
        linkSync(mine, marker);
        return;
      } catch (error) {
        if (!isExisting(error)) throw error;
      }
      const [owner = ""] = textOf(marker).split(" ");
      if (isOwnerAlive(owner)) throw new Error(`two writers of one layer: ${key}: ${owner} is at it`);
      // What a killed process has left, to be counted by who is interested.
      renameSync(marker, `${marker}.left-${randomUUID()}`);
    }
  } finally {
    rmSync(mine);
  }
}

/** Those that others have made for the same layer stay: also what is left of killed processes is removed by somebody. */
function leave(directory: string, key: string): void {
  const marker = markerOf(directory, key);
  if (marker !== undefined && textOf(marker) === `${currentOwner()} ${key}`) rmSync(marker);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function isExisting(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EEXIST";
}
