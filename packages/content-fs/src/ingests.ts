import { chmodSync, statSync } from "node:fs";
import type { IngestStatus } from "@varve/content";
import { CodedError } from "@varve/errors";
import { retire } from "./claims.ts";
import { orMissing, removeFile } from "./errno.ts";
import { readRecord } from "./ingest-record.ts";
import { dataPath, ingestFileOf, ingestPaths } from "./layout.ts";
import type { IngestPaths, Layout } from "./layout.ts";
import { namesIn } from "./names-in.ts";

/** `undefined`: there is no such ingest. */
export function statusOf(paths: IngestPaths): IngestStatus | undefined {
  const record = readRecord(paths);
  if (record === undefined || record.state === "done") return undefined;
  const data = statSync(dataPath(paths, record.data), { throwIfNoEntry: false });
  if (data === undefined) return undefined;
  const { ref, startedAt, total, expected } = record;
  return { ref, startedAt, total, expected, offset: data.size, updatedAt: data.mtime };
}

/** The places of all ingests. */
export async function* listIngests(layout: Layout): AsyncGenerator<IngestPaths, void, undefined> {
  for await (const names of namesIn(layout.ingests)) {
    for (const name of names) {
      const file = ingestFileOf(layout, name);
      if (file?.kind === "record") yield file.paths;
    }
  }
}

/**
 * Drops an ingest, whoever writes it. Under the lock.
 *
 * @returns files to be removed
 * @throws ERR_NOT_FOUND no such ingest
 */
export function abortIngest(layout: Layout, ref: string): readonly string[] {
  const paths = ingestPaths(layout, ref);
  const record = readRecord(paths);
  if (record === undefined || record.ref !== ref || record.state === "done") throw ingestNotFound(ref);
  const data = dataPath(paths, record.data);
  // A commit that failed has told followers that the bytes are verified.
  orMissing(() => chmodSync(data, 0o600));
  const trash = retire(layout, data);
  removeFile(paths.record);
  return trash;
}

export function ingestNotFound(ref: string): CodedError {
  return new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`);
}
