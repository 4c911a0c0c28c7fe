import { opendir } from "node:fs/promises";
import { isErrno } from "./errno.ts";
import { retryOpen } from "./open-retry.ts";

/** So many names are looked at before others get their turn: about a millisecond. */
const batchSize = 256;

/** The names in a directory, a batch at a time; none if there is no such directory. */
export async function* namesIn(directory: string): AsyncGenerator<readonly string[], void, undefined> {
  try {
    const opened = await retryOpen(() => opendir(directory, { bufferSize: batchSize }));
    let batch: string[] = [];
    for await (const entry of opened) {
      batch.push(entry.name);
      if (batch.length < batchSize) continue;
      yield batch;
      batch = [];
    }
    yield batch;
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR")) throw error;
  }
}
