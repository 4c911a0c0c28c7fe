import type { MessageInitShape } from "@bufbuild/protobuf";
import { CodedError } from "@varve/errors";
import type {
  ReadContentRequest,
  ReadContentResponseSchema,
} from "../gen/containerd/services/content/v1/content_pb.js";
import { toDigest } from "./content-messages.ts";
import type { KeptReaders } from "./kept-readers.ts";

/** Upstream sends no more than that in one message. */
const maxChunk = 1024 * 1024;

type Answer = MessageInitShape<typeof ReadContentResponseSchema>;

/**
 * Answers one Read. A chunk is the same memory as the one before, as each is serialised before the next one is asked for.
 *
 * @throws ERR_OUT_OF_RANGE the read begins after the end of the blob
 */
export async function* answerRead(
  readers: KeptReaders,
  request: ReadContentRequest,
  signal: AbortSignal,
): AsyncGenerator<Answer, void, undefined> {
  const digest = toDigest(request.digest);
  const reader = await readers.lend(digest, { signal });
  try {
    const { start, end } = range(request, reader.size);
    const buffer = new Uint8Array(Math.min(maxChunk, end - start));
    for (let position = start; position < end;) {
      const data = buffer.subarray(0, Math.min(buffer.byteLength, end - position));
      const count = await reader.read(data, position, { signal });
      if (count === 0)
        throw new CodedError("ERR_DATA_LOSS", `content ${digest}: ends at byte ${position} of ${reader.size}`);
      // Counts from the start of this read, not of the blob.
      yield { offset: BigInt(position - start), data: data.subarray(0, count) };
      position += count;
    }
  } finally {
    reader.release();
  }
}

/** As upstream does it: what begins before the blob begins with it, and what ends after it, or nowhere, ends with it. */
function range(
  { digest, offset, size }: ReadContentRequest,
  length: number,
): { readonly start: number; readonly end: number } {
  const whole = BigInt(length);
  const start = offset < 0n ? 0n : offset;
  if (start > whole) {
    throw new CodedError("ERR_OUT_OF_RANGE", `content ${digest}: a read from byte ${start}, of ${length} bytes`);
  }
  const end = size <= 0n || start + size > whole ? whole : start + size;
  return { start: Number(start), end: Number(end) };
}
