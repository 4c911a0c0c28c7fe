import { CodedError } from "@varve/errors";
import type { Reply } from "../http/reply.ts";
import { retryAfter } from "../http/retry.ts";
import type { Settings } from "../options.ts";

/** Something that stands in the way of an upload, and may pass. */
export interface Interruption {
  /** Thrown if it does not. */
  readonly error: unknown;
  /** Milliseconds that the registry asks us to wait. */
  readonly waitMs: number;
  /** The registry has wrong bytes: there is no way on but to begin again. */
  readonly isSpoilt: boolean;
}

// The session is gone or of another mind (404, 410, 416), or the registry has troubles.
const passing: ReadonlySet<number> = new Set([404, 408, 410, 416, 429, 500, 502, 503, 504]);

/**
 * Judges an answer that refuses a part of an upload.
 *
 * @param resumed the upload was continued: if it is refused for its bytes now, beginning again may help
 * @throws `error` if asking again gets the same answer
 */
export function interruptionOf(reply: Reply, error: CodedError, settings: Settings, resumed: boolean): Interruption {
  const waitMs = retryAfter(reply, Date.now()) ?? 0;
  const isSpoilt = resumed && reply.status === 400;
  const mayPass = passing.has(reply.status) || isSpoilt;
  if (mayPass && waitMs <= settings.maxRetryAfter) return { error, waitMs, isSpoilt };
  if (reply.status !== 413) throw error;
  const hint = "a proxy in front of it may limit what one request holds: uploadChunkSize";
  throw new CodedError(error.code, `${error.message} (${hint})`, { cause: error });
}
