/**
 * Waits for `promise`, but no longer than until the signal aborts: then it rejects with the signal's own reason. A signal that is aborted
 * when the wait begins comes first, even if the promise has settled. What the promise stands for goes on after an abort, and nobody hears what it
 * comes to: its failure is no unhandled rejection. Without a signal only the promise ends the wait.
 */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  const aborted = Promise.withResolvers<never>();
  const leave = (): void => aborted.reject(signal.reason);
  if (signal.aborted) leave();
  else signal.addEventListener("abort", leave, { once: true });
  try {
    return await Promise.race([aborted.promise, promise]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}
