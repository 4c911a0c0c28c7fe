import type { DecoderFactory } from "@varve/compression";
import { openIsalInflate } from "@varve/syscalls";
import { createGzipDecoder } from "./gzip-decoder.ts";

/**
 * A decoder of gzip by ISA-L, as strict as the one of `node:zlib` and faster; `undefined` where the system has no
 * libisal.so.2. It never throws. The library is loaded, and tried out, by the first call of a thread.
 */
export function createIsalDecoders(): DecoderFactory | undefined {
  const first = openIsalInflate();
  if (first === undefined) return undefined;
  first.close();
  return (compression, allocate) => {
    const inflate = compression === "gzip" ? openIsalInflate() : undefined;
    return inflate === undefined ? undefined : createGzipDecoder(inflate, allocate);
  };
}
