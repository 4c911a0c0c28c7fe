export { createBlobPipe } from "./blob-pipe.ts";
export type { BlobPipe } from "./blob-pipe.ts";
export type { CallOptions, WalkOptions } from "./call-options.ts";
export type { ContentStore } from "./content-store.ts";
export { copyBlob } from "./copy-blob.ts";
export type { CopyBlobOptions } from "./copy-blob.ts";
export { blobFilter, ingestFilter } from "./filters.ts";
export { canFollow } from "./follower.ts";
export type { Follower } from "./follower.ts";
export {
  labelDistributionSourcePrefix,
  labelGcRefContent,
  labelGcRefSnapshotPrefix,
  labelGcBackRefPrefix,
  labelGcConditionPrefix,
  labelGcRefPrefix,
  labelGcRoot,
  labelUncompressed,
} from "./labels.ts";
export { canIngest, canManageIngests } from "./ingester.ts";
export { canLabel } from "./manager.ts";
export type { BlobInfo, LabelChanges, Labeler, LabelOptions, Manager } from "./manager.ts";
export type {
  CommitOptions,
  Expected,
  Ingester,
  IngestManager,
  IngestStatus,
  Writer,
  WriterOptions,
} from "./ingester.ts";
export { openBlob } from "./open-blob.ts";
export { openWriter } from "./open-writer.ts";
export type { OpenWriterOptions } from "./open-writer.ts";
export { canProvide } from "./provider.ts";
export type { BlobReader, ByteRange, Provider, StreamOptions } from "./provider.ts";
export { canQuarantine } from "./quarantine.ts";
export type { QuarantinedBlob, Quarantiner } from "./quarantine.ts";
export { blobExists, readBlob } from "./read-blob.ts";
export type { ReadBlobOptions } from "./read-blob.ts";
export { streamBlob } from "./stream-blob.ts";
export { writeBlob } from "./write-blob.ts";
export type { BlobSource, WriteBlobOptions } from "./write-blob.ts";
