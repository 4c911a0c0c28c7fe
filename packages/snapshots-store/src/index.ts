export { DirectorySnapshotter } from "./directory-snapshotter.ts";
export type { DirectoryBackend, Mounts } from "./directory-snapshotter.ts";
export { Flusher } from "./flusher.ts";
export { measureTree } from "./measure-tree.ts";
export type { StoredSnapshot } from "./record.ts";
export { withScratchDirectory } from "./scratch.ts";
export type { NewSnapshot, Sealing, SnapshotStore } from "./snapshot-store.ts";
export { openSnapshotStore } from "./store.ts";
export type { SnapshotStoreOptions } from "./store.ts";
