/** How a stream is compressed. `none` is everything that starts like neither of the others, the empty stream included. */
export type Compression = "gzip" | "none" | "zstd";

/** So many first bytes decide which compression a stream has; fewer decide only when the stream ends there. */
export const sniffLength = 4;

/**
 * Recognises a compression by the first bytes of a stream: gzip's `1f 8b 08` (RFC 1952),
 * a zstd frame or a skippable frame (RFC 8878 section 3.1).
 */
export function detectCompression(head: Uint8Array): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b && head[2] === 0x08) return "gzip";
  if (head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd && head[0] === 0x28) return "zstd";
  const skippable = head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18 && ((head[0] ?? 0) & 0xf0) === 0x50;
  return skippable ? "zstd" : "none";
}
