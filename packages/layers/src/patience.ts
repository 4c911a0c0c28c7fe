import type { CallOptions } from "./layer-store.ts";

const patienceMs = 30_000;

/** For clean-up, which has a deadline of its own: the caller's signal may be what ended the work. */
export function patience(): CallOptions {
  return { signal: AbortSignal.timeout(patienceMs) };
}
