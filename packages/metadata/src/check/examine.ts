import { createDigester, digestAlgorithm } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import type { BlobReader, ContentStore } from "@varve/content";
import { createBreather } from "./breather.ts";
import type { Breathe } from "./breather.ts";

const step = 256 * 1024;

/** What the bytes of one blob are. */
export type Examination =
  | { readonly kind: "whole"; readonly size: number }
  | { readonly kind: "damaged"; readonly why: string; readonly actual?: Digest | undefined }
  /** It was removed meanwhile. */
  | { readonly kind: "missing" };

export interface ExamineOptions {
  readonly signal: AbortSignal | undefined;
  readonly breathe?: Breathe | undefined;
}

/** Reads and hashes a blob, one piece at a time, so that neither memory nor this thread is taken up by a large one. */
export async function examine(
  content: ContentStore,
  digest: Digest,
  { signal, breathe = createBreather(signal) }: ExamineOptions,
): Promise<Examination> {
  try {
    const reader = await content.open({ mediaType: "application/octet-stream", digest, size: 0 }, { signal });
    try {
      const actual = await hash(reader, digest, { signal, breathe });
      if (actual === digest) return { kind: "whole", size: reader.size };
      return { kind: "damaged", why: `its ${reader.size} bytes have digest ${actual}`, actual };
    } finally {
      await reader.close();
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (hasCode(error, "ERR_NOT_FOUND")) return { kind: "missing" };
    if (!isDamage(error)) throw error;
    return { kind: "damaged", why: `cannot be read: ${error.message}` };
  }
}

async function hash(reader: BlobReader, digest: Digest, { signal, breathe }: ExamineOptions): Promise<Digest> {
  const digester = createDigester(digestAlgorithm(digest));
  const piece = new Uint8Array(Math.min(step, reader.size));
  for (let position = 0; position < reader.size;) {
    const got = await reader.read(piece, position, { signal });
    if (got === 0) break;
    digester.update(piece.subarray(0, got));
    position += got;
    // Reading what is in memory gives nobody else a turn.
    await breathe?.();
  }
  return digester.digest();
}

/** What says that these bytes are lost, in contrast to what says that they cannot be had just now (F06). */
function isDamage(error: unknown): error is Error {
  if (hasCode(error, "ERR_DATA_LOSS") || hasCode(error, "ERR_DIGEST_MISMATCH")) return true;
  return error instanceof Error && "code" in error && (error.code === "EIO" || error.code === "EISDIR");
}
