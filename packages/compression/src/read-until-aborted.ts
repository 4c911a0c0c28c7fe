import { untilAborted } from "@varve/locks";

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
