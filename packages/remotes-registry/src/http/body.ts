import { CodedError } from "@varve/errors";
import { GatheredBytes } from "./gathered-bytes.ts";
import { describeUrl } from "./printable.ts";
import type { Reply } from "./reply.ts";

// Timers of Node that are to wait longer fire at once.
const longestTimer = 2 ** 31 - 1;

/**
 * Reads a small body to its end.
 *
 * @param maxTime milliseconds for all of it. Default: ten times as long as a server may be silent.
 * @throws ERR_RESOURCE_EXHAUSTED it is longer than `limit`; no more than that is kept
 * @throws ERR_DEADLINE_EXCEEDED it drips
 */
export async function readAtMost(reply: Reply, limit: number, maxTime?: number): Promise<Buffer> {
  const subject = `${reply.method} ${describeUrl(reply.url)}`;
  const time = maxTime ?? Math.min(10 * reply.idleTimeout, longestTimer);
  const gathered = new GatheredBytes();
  const timer = setTimeout(() => {
    reply.drop(new CodedError("ERR_DEADLINE_EXCEEDED", `${subject}: the body took longer than ${time / 1000} s`));
  }, time);
  try {
    for await (const chunk of reply.body()) {
      if (gathered.size + chunk.byteLength > limit) {
        const text = `${subject}: the body is longer than the limit of ${limit} bytes`;
        throw new CodedError("ERR_RESOURCE_EXHAUSTED", text);
      }
      gathered.add(chunk);
    }
  } finally {
    clearTimeout(timer);
  }
  return gathered.whole();
}
