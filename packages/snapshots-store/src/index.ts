export { DirectorySnapshotter } from "./directory-snapshotter.ts";
export type { DirectoryBackend, Mounts } from "./directory-snapshotter.ts";
export { Flusher } from "./flusher.ts";
export { measureTree } from "./measure-tree.ts";
export { openSnapshotStore } from "./open-store.ts";
export type { SnapshotStoreOptions } from "./open-store.ts";
export { withScratchDirectory } from "./scratch.ts";
export type {
  LabelUpdate,
  NewSnapshot,
  RecordedSnapshot,
  SealedContents,
  Sealing,
  SnapshotIdentity,
  SnapshotStore,
  StoredSnapshot,
} from "./snapshot-store.ts";
