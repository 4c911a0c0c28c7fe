import { randomUUID } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { removeFile } from "./errno.ts";
import { holds, retire, startOver } from "./claims.ts";
import type { Claim } from "./claims.ts";
import { headBytes, readRecord, replaceRecord } from "./ingest-record.ts";
import type { RecordHead } from "./ingest-record.ts";
import { dataPath } from "./layout.ts";
import type { Layout } from "./layout.ts";
import type { RecordFiles } from "./record-files.ts";

// What the holder of a claim does to its ingest. All functions here are synchronous and to be called inside the lock of the store.

/** Replaces the bytes by none, in a new file: readers of the old one see that it is not continued. `undefined`: not held. */
export function dropBytes(layout: Layout, claim: Claim): Claim | undefined {
  if (!holds(claim)) return undefined;
  const { paths, record } = claim;
  const next = { ...record, data: randomUUID(), generation: record.generation + 1, safe: 0 };
  return { ...startOver(layout, paths, next, dataPath(paths, record.data)), updatedAt: new Date() };
}

/**
 * Gives a claim up; one that was lost already is no error. Overwritten in place, because on a full disk nothing else can be
 * written. Bytes that the disk failed to keep go with their ingest: a second sync would lie about them.
 *
 * @returns files to be removed
 */
export function letGo(layout: Layout, claim: Claim, { safe, state }: RecordHead): readonly string[] {
  if (!holds(claim)) return [];
  const { paths, record } = claim;
  if (state === "lost") {
    removeFile(paths.record);
    return retire(layout, dataPath(paths, record.data));
  }
  const fd = openSync(paths.record, "r+");
  try {
    writeSync(fd, headBytes({ safe, state }), 0, undefined, 0);
  } finally {
    closeSync(fd);
  }
  return [];
}

/**
 * Ends an ingest whose bytes became the blob `digest`. One that has been taken over leaves a note, because those who follow it
 * may be at an older data file still, and know no other way to the rest.
 */
export function endIngest(records: RecordFiles, claim: Claim, digest: Digest): void {
  const { paths, record } = claim;
  try {
    if (record.moves > 0) return replaceRecord(paths, { ...record, state: "done", digest });
  } catch {
    // No space for the note: the ingest ends without.
  }
  removeRecord(records, claim);
}

/** The claim must stand. */
export function removeRecord(records: RecordFiles, { paths, recordFile }: Claim): void {
  if (recordFile === undefined) removeFile(paths.record);
  else records.recycle(paths, recordFile);
}

/** Removes the note that an ingest has left, if it is there still. */
export function removeNote(note: Claim): void {
  if (holds(note)) removeFile(note.paths.record);
}

/** Why a claim does not stand any more, as the error for its holder. */
export function whyLost({ paths, record }: Claim): CodedError {
  const now = readRecord(paths);
  const isTakenOver = now?.ingest === record.ingest && now.token !== record.token;
  const why = isTakenOver ? `taken over by process ${now.owner.split("/", 1)[0]}, as it made no progress` : "aborted";
  return new CodedError("ERR_ABORTED", `ingest ${record.ref}: ${why}`);
}
