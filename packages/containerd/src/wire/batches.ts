/** As many as upstream puts into one message of a list. */
const mostItems = 100;
/** Of labels and names, about; far below the 16 MiB that a message may have. */
const mostBytes = 1 << 20;

/** What fits into one message each; nothing at all for an empty list. */
export async function* inBatches<T>(
  items: AsyncIterable<T>,
  textsOf: (item: T) => readonly string[],
): AsyncGenerator<T[], void, undefined> {
  let batch: T[] = [];
  let bytes = 0;
  for await (const item of items) {
    batch.push(item);
    bytes += textsOf(item).reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    if (batch.length < mostItems && bytes < mostBytes) continue;
    yield batch;
    [batch, bytes] = [[], 0];
  }
  if (batch.length > 0) yield batch;
}
