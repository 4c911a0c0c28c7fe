const width = 8;

/** Works on all items, a few at a time, until the signal is aborted. Rejects when nothing runs any more. */
export async function inParallel<T>(
  items: Iterable<T>,
  signal: AbortSignal | undefined,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  const run = async (): Promise<void> => {
    for (let next = iterator.next(); next.done !== true; next = iterator.next()) {
      signal?.throwIfAborted();
      await work(next.value);
    }
  };
  const results = await Promise.allSettled(Array.from({ length: width }, run));
  for (const result of results) if (result.status === "rejected") throw result.reason;
}
