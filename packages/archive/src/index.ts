export { applyTar } from "./apply/apply-tar.ts";
export type { ApplyTarOptions } from "./apply/apply-tar.ts";
export { createLayerWriter } from "./apply/layer-writer.ts";
export { emptyDirectory } from "./apply/remove-tree.ts";
export { settleLayer } from "./apply/settle.ts";
export type { SettleOptions } from "./apply/settle.ts";
export { listChanges } from "./compare/list-changes.ts";
export { packLayer } from "./compare/pack-layer.ts";
export type {
  Change,
  ChangeKind,
  ListOptions,
  PackOptions,
  PackSkipCounts,
  PackSummary,
  Trees,
} from "./compare/types.ts";
export { createTarReader } from "./tar/tar-reader.ts";
export type { TarHandler, TarReader, TarReaderOptions } from "./tar/tar-handler.ts";
export type { LayerRule } from "./layer-rule.ts";
export type { IdMappings } from "./apply/id-mapper.ts";
export type { TarEntry, TarTime, TarType } from "./tar/tar-entry.ts";
export type { SparsePiece } from "./tar/tar-sparse.ts";
export { createTarWriter } from "./tar/tar-writer.ts";
export type { TarEntryInit, TarWriter } from "./tar/tar-writer.ts";
export type {
  ApplyResult,
  LayerLimits,
  LayerWriter,
  LayerWriterOptions,
  LowerLink,
  LowerQuestions,
  Ownership,
  SettleResult,
  SkipCounts,
} from "./apply/types.ts";
export { createTarSplitter } from "./split/tar-splitter.ts";
export { joinTar } from "./split/join-tar.ts";
export type { JoinTarOptions } from "./split/join-tar.ts";
export { lostFiles } from "./split/lost-files.ts";
export type { LostFile, LostFilesOptions } from "./split/lost-files.ts";
export { treeFiles } from "./split/tree-files.ts";
export type {
  ContentFile,
  SplitFile,
  SplitFiles,
  SplitSummary,
  TarSplitter,
  TarSplitterOptions,
} from "./split/types.ts";
