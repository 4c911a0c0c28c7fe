export type { CallOptions } from "./call-options.ts";
export type { ContentStore } from "./content-store.ts";
export { copyBlob, writeBlob } from "./copy-blob.ts";
export type { CopyBlobOptions, WriteBlobOptions } from "./copy-blob.ts";
export { canFollow } from "./follower.ts";
export type { Follower } from "./follower.ts";
export {
  labelDistributionSourcePrefix,
  labelGcRefContent,
  labelGcRefSnapshotPrefix,
  labelGcRoot,
  labelUncompressed,
} from "./labels.ts";
export { canLabel } from "./manager.ts";
export type { BlobInfo, LabelChanges, Labeler, Manager } from "./manager.ts";
export type {
  CommitOptions,
  Expected,
  Ingester,
  IngestManager,
  IngestStatus,
  Writer,
  WriterOptions,
} from "./ingester.ts";
export { openWriter } from "./open-writer.ts";
export type { OpenWriterOptions } from "./open-writer.ts";
export type { BlobReader, ByteRange, Provider, StreamOptions } from "./provider.ts";
export { blobExists, readBlob } from "./read-blob.ts";
export type { ReadBlobOptions } from "./read-blob.ts";
