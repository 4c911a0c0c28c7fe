import { CodedError } from "@varve/errors";
import { describeUrl } from "./printable.ts";
import type { Reply } from "./reply.ts";

/**
 * Reads a small body to its end.
 *
 * @throws ERR_RESOURCE_EXHAUSTED it is longer than `limit`; no more than that is kept
 */
export async function readAtMost(reply: Reply, limit: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of reply.body()) {
    size += chunk.byteLength;
    if (size > limit) {
      throw new CodedError(
        "ERR_RESOURCE_EXHAUSTED",
        `${reply.method} ${describeUrl(reply.url)}: the body is longer than the limit of ${limit} bytes`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}
