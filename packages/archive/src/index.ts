export { applyTar } from "./apply-tar.ts";
export type { ApplyTarOptions } from "./apply-tar.ts";
export { createLayerWriter } from "./layer-writer.ts";
export { settleLayer } from "./settle.ts";
export type { SettleOptions } from "./settle.ts";
export { createTarReader } from "./tar-reader.ts";
export type { TarHandler, TarReader, TarReaderOptions } from "./tar-reader.ts";
export type { TarEntry, TarTime, TarType } from "./tar-entry.ts";
export type {
  ApplyResult,
  LayerLimits,
  LayerWriter,
  LayerWriterOptions,
  LowerLink,
  LowerQuestions,
  SettleResult,
  SkipCounts,
} from "./types.ts";
