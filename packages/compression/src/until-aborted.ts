/** Waits for `work`, but not after the signal: what it comes to then is nobody's any more. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** Gives what is in the source, never an empty chunk, and closes the source whatever happens. */
export async function* readUntilAborted(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  signal?.throwIfAborted();
  const iterator = source[Symbol.asyncIterator]();
  let state: "asked" | "closed" | "paused" = "asked";
  try {
    for (;;) {
      state = "asked";
      const step = await untilAborted(iterator.next(), signal);
      state = step.done === true ? "closed" : "paused";
      if (step.done === true) return;
      if (step.value.length > 0) yield step.value;
    }
  } finally {
    if (state === "paused") await iterator.return?.();
    // One that is silent may never answer; one that failed has closed itself.
    else if (state === "asked" && signal?.aborted === true) void iterator.return?.().catch(() => undefined);
  }
}
