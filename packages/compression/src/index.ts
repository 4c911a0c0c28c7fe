export { compress } from "./compress.ts";
export type { CompressOptions } from "./compress.ts";
export { detectCompression, sniffLength } from "./compression.ts";
export type { Compression } from "./compression.ts";
export { createDecoder } from "./decoder.ts";
export type { Decoder, DecoderFactory, DecoderLimits, DecoderOptions } from "./decoder.ts";
export { decompress } from "./decompress.ts";
export type { DecompressOptions } from "./decompress.ts";
