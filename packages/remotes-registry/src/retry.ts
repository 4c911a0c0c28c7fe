import { CodedError, hasCode } from "@varve/errors";
import { sleep } from "@varve/locks";
import { errorCode } from "./network-failure.ts";
import type { Settings } from "./options.ts";
import type { Reply } from "./reply.ts";

const repeated: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);
const maxDelay = 5000;
// Answers that a second attempt gets as well: a name that does not exist, a port where nobody listens, a bad certificate.
const passing = /^(?:ECONNRESET|EPIPE|ETIMEDOUT|EAI_AGAIN|UND_ERR_SOCKET|UND_ERR_CONNECT_TIMEOUT|HPE_.*)$/;

/**
 * Sends until there is an answer that a repetition would not change, or the repetitions are used up;
 * then the last answer or error is the result.
 */
export async function withRetries(
  settings: Settings,
  signal: AbortSignal | undefined,
  send: () => Promise<Reply>,
): Promise<Reply> {
  for (let attempt = 0; ; attempt += 1) {
    let told: number | undefined;
    try {
      const reply = await send();
      if (!deservesRetry(reply, attempt) || attempt >= settings.retries) return reply;
      told = retryAfter(reply.header("retry-after"), Date.now());
      if (told !== undefined && told > settings.maxRetryAfter) return reply;
      await reply.discard();
    } catch (error) {
      if (attempt >= settings.retries || !isPassing(error)) throw error;
    }
    await sleep(Math.max(told ?? 0, backoff(settings, attempt)), { signal });
  }
}

function deservesRetry(reply: Reply, attempt: number): boolean {
  // A signed address that expired on the way: the registry gives a new one.
  return repeated.has(reply.status) || (reply.foreign && reply.status === 403 && attempt === 0);
}

/** Whether a failed exchange may succeed when it is simply done again. */
export function isPassing(error: unknown): boolean {
  if (hasCode(error, "ERR_DEADLINE_EXCEEDED")) return true;
  return error instanceof CodedError && passing.test(errorCode(error.cause) ?? "");
}

/** Milliseconds before repetition number `attempt`, counted from 0: half of it fixed, half by chance. */
export function backoff(settings: Settings, attempt: number): number {
  const full = Math.min(settings.retryDelay * 2 ** attempt, maxDelay);
  return full / 2 + (Math.random() * full) / 2;
}

/** Reads `Retry-After`, in seconds or as a date, as milliseconds from `now` (RFC 9110, section 10.2.3). */
function retryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
