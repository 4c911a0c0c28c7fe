import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { DirectorySnapshotter, openSnapshotStore } from "@varve/snapshots-store";
import type { DirectoryBackend, SnapshotStore, SnapshotStoreOptions } from "@varve/snapshots-store";

/** Makes `fs` and `work`, as an overlay needs them. */
export async function makeFiles(directory: string): Promise<void> {
  for (const name of ["fs", "work"]) mkdirSync(join(directory, name));
  chmodSync(join(directory, "fs"), 0o755);
}

/** The simplest backend there can be: it takes no parent into account. */
function backendOf(store: SnapshotStore, own: Partial<DirectoryBackend> = {}): DirectoryBackend {
  return {
    builder: ({ kind, parent }) => (kind === "view" && parent !== undefined ? undefined : makeFiles),
    mounts: ({ id }) => [{ type: "bind", source: join(store.directory(id), "fs"), options: ["rw", "rbind"] }],
    labels: () => ({}),
    flush: async () => undefined,
    ...own,
  };
}

export interface Opened extends AsyncDisposable {
  readonly store: SnapshotStore;
  readonly snapshotter: DirectorySnapshotter;
  /** Where a snapshot has its files. */
  readonly files: (name: string) => Promise<string>;
}

/** A snapshotter on a root: `await using opened = await open(...)`. */
export async function open(
  root: string,
  options: Omit<SnapshotStoreOptions, "root"> & {
    readonly own?: (store: SnapshotStore) => Partial<DirectoryBackend>;
  } = {},
): Promise<Opened> {
  const { own, ...rest } = options;
  const store = await openSnapshotStore({ root, ...rest });
  const snapshotter = new DirectorySnapshotter(store, backendOf(store, own?.(store)));
  return {
    store,
    snapshotter,
    files: async (name) => join(store.directory((await store.get(name)).id), "fs"),
    [Symbol.asyncDispose]: () => snapshotter.close(),
  };
}

/** A committed snapshot; `fill` writes its files. */
export async function commit(
  { snapshotter, files }: Opened,
  name: string,
  fill: (files: string) => void = () => undefined,
  parent?: string,
): Promise<string> {
  await snapshotter.prepare(`${name}-key`, parent);
  const path = await files(`${name}-key`);
  fill(path);
  await snapshotter.commit(name, `${name}-key`);
  return path;
}
