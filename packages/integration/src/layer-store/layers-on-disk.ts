import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { canCleanup } from "@varve/snapshots";
import type { Snapshotter } from "@varve/snapshots";
import { listed } from "../faults/listed.ts";
import type { LayerModel } from "./layer-model.ts";
import type { Backend } from "./layer-store-scene.ts";

export interface DiskOptions {
  readonly backend: Backend;
  readonly root: string;
  readonly snapshotter: Snapshotter;
}

/** What is on disk after a cleanup: snapshots, records, counts of references, mounts. */
export async function layersOnDisk({ backend, root, snapshotter }: DiskOptions): Promise<string> {
  const layers = join(root, "layers");
  const all = await listed(snapshotter.walk());
  const committed = all.filter(({ kind }) => kind === "committed").map(({ name }) => name);
  if (canCleanup(snapshotter)) await snapshotter.cleanup();
  const points = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return told({
    chains: committed.filter((name) => !name.startsWith("layers-")).toSorted(),
    inits: committed.filter((name) => name.startsWith("layers-init/")).length,
    changes: all.filter(({ name }) => name.startsWith("layers-rw/")).length,
    others: all.length - committed.length - all.filter(({ name }) => name.startsWith("layers-rw/")).length,
    directories: readdirSync(join(root, backend)).filter((name) => !name.startsWith("metadata.db")).length,
    records: readdirSync(join(layers, "records")).length,
    scratch: readdirSync(join(layers, "scratch")).length,
    mountPoints: namesIn(join(layers, "mounts")).length,
    mounts: points.filter((line) => (line.split(" ")[4] ?? "").startsWith(`${root}/`)).length,
    counts: countsIn(join(layers, "layers.db")),
  });
}

/** What has to be there. */
export function expectedOnDisk({ layers, state }: LayerModel): string {
  const rwLayers = [...state.rwLayers.values()];
  const inits = rwLayers.filter(({ hasInit }) => hasInit).length;
  const rwReferences = [...state.rwReferences.values()];
  const mounted = new Set(rwReferences.filter(({ mounts }) => mounts > 0).map(({ name }) => name)).size;
  const mounts = (of: string): number =>
    rwReferences.filter(({ name }) => name === of).reduce((sum, reference) => sum + reference.mounts, 0);
  const referred = counted([...state.references.values()].map(({ chain }) => chain));
  const rwReferred = counted(rwReferences.map(({ name }) => name));
  return told({
    chains: layers.map(({ chainId }) => chainId),
    inits,
    changes: rwLayers.length,
    others: 0,
    directories: layers.length + inits + rwLayers.length,
    records: layers.length,
    scratch: 0,
    mountPoints: mounted,
    mounts: mounted,
    counts: [
      ...referred,
      ...rwReferred.map((line) => `${line}, ${mounts(line.split(" ")[0] ?? "")} mounts`),
    ].toSorted(),
  });
}

function counted(names: readonly string[]): readonly string[] {
  return [...new Set(names)].map((name) => `${name} × ${names.filter((other) => other === name).length}`);
}

function countsIn(path: string): readonly string[] {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const referred = database
      .prepare(
        "SELECT chain || ' × ' || count(*) AS line FROM refs JOIN layers ON layers.id = refs.layer GROUP BY chain",
      )
      .all();
    const rwReferred = database
      .prepare(
        `SELECT name || ' × ' || count(*) || ', ' || sum(mounts) || ' mounts' AS line
         FROM rw_refs JOIN rw_layers ON rw_layers.id = rw_refs.layer GROUP BY name`,
      )
      .all();
    return [...referred, ...rwReferred].map(({ line }) => String(line)).toSorted();
  } finally {
    database.close();
  }
}

function told(parts: Readonly<Record<string, number | readonly string[]>>): string {
  return Object.entries(parts)
    .map(([name, value]) => `${name}: ${typeof value === "number" ? value : value.join(", ")}`)
    .join("\n");
}

/** Made with the first mount. */
function namesIn(directory: string): readonly string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}
