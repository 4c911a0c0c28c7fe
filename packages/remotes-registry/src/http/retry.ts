import { CodedError, hasCode } from "@varve/errors";
import { sleep } from "@varve/locks";
import { errorCode, isDeadRedirect } from "./network-failure.ts";
import { describeStatus } from "./node-http.ts";
import type { Settings } from "../options.ts";
import type { Reply } from "./reply.ts";
import { ProxyRefusal } from "./tunnel.ts";

const repeated: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);
const maxDelay = 5000;
// Answers that a second attempt gets as well: a name that does not exist, a port where nobody listens, a bad certificate.
const passing = /^(?:ECONNRESET|EPIPE|ETIMEDOUT|EAI_AGAIN|UND_ERR_SOCKET|UND_ERR_CONNECT_TIMEOUT|HPE_.*|ERR_HTTP2_.*)$/;

/** Whom the repetitions are of, for notices, and what ends them. */
export interface RetryOptions {
  readonly host: string;
  readonly signal: AbortSignal | undefined;
}

/**
 * Sends until there is an answer that a repetition would not change, or the repetitions are used up;
 * then the last answer or error is the result.
 */
export async function withRetries(
  settings: Settings,
  { host, signal }: RetryOptions,
  send: () => Promise<Reply>,
): Promise<Reply> {
  for (let attempt = 0; ; attempt += 1) {
    let told: number | undefined;
    let reason: string;
    try {
      const reply = await send();
      if (!deservesRetry(reply, attempt) || attempt >= settings.retries) return reply;
      told = retryAfter(reply, Date.now());
      if (told !== undefined && told > settings.maxRetryAfter) return reply;
      reason = describeStatus(reply.status);
      await reply.discard();
    } catch (error) {
      if (attempt >= settings.retries || !isPassing(error)) throw error;
      reason = error.message;
    }
    // Those who were told the same time must not all come back together.
    const delayMs = Math.round((told ?? 0) + backoff(settings, told === undefined ? attempt : 0));
    settings.onNotice({ type: "retry", host, attempt: attempt + 1, delayMs, reason });
    await sleep(delayMs, { signal });
  }
}

function deservesRetry(reply: Reply, attempt: number): boolean {
  // A signed address that expired on the way: the registry gives a new one.
  return repeated.has(reply.status) || (reply.foreign && reply.status === 403 && attempt === 0);
}

/** Whether a failed exchange may succeed when it is simply done again. */
export function isPassing(error: unknown): error is CodedError {
  if (!(error instanceof CodedError)) return false;
  if (hasCode(error, "ERR_DEADLINE_EXCEEDED") || isDeadRedirect(error)) return true;
  const { cause } = error;
  return cause instanceof ProxyRefusal ? repeated.has(cause.status) : passing.test(errorCode(cause) ?? "");
}

/** Milliseconds before repetition number `attempt`, counted from 0: half of it fixed, half by chance. */
export function backoff(settings: Settings, attempt: number): number {
  const full = Math.min(settings.retryDelay * 2 ** attempt, maxDelay);
  return full / 2 + (Math.random() * full) / 2;
}

/**
 * How many milliseconds a server asks us to wait, in seconds or as a date (RFC 9110, section 10.2.3). Dates are held against
 * the server's own clock.
 */
export function retryAfter(reply: Reply, now: number): number | undefined {
  const header = reply.header("retry-after")?.trim();
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  const clock = Date.parse(reply.header("date") ?? "");
  return Number.isNaN(date) ? undefined : Math.max(0, date - (Number.isNaN(clock) ? now : clock));
}
