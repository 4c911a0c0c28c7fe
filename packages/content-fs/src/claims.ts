import { randomUUID } from "node:crypto";
import type { Stats } from "node:fs";
import { chmodSync, closeSync, ftruncateSync, fstatSync, openSync, renameSync, statSync } from "node:fs";
import type { Expected } from "@varve/content";
import { CodedError } from "@varve/errors";
import { currentOwner, isOwnerAlive } from "@varve/locks";
import { isErrno, orMissing, removeFile } from "./errno.ts";
import { readRecord, replaceRecord } from "./ingest-record.ts";
import type { IngestRecord } from "./ingest-record.ts";
import { dataPath, ingestPaths, trashPath } from "./layout.ts";
import type { IngestPaths, Layout } from "./layout.ts";
import type { RecordFile, RecordFiles } from "./record-files.ts";
import { progressMark, steadyClock } from "./stall-watch.ts";
import type { StallWatch } from "./stall-watch.ts";

// All functions here are synchronous and to be called inside the lock of the store.

/** The right to write one ingest: held until it is released or taken over, or its process dies. */
export interface Claim {
  readonly paths: IngestPaths;
  readonly record: IngestRecord;
  /** The data file, open for reading and writing. The claim does not close it. */
  readonly fd: number;
  /** The record, if it can be used for another ingest after this one. The claim does not close it. */
  readonly recordFile?: RecordFile | undefined;
  /** Bytes of the data file to continue after. */
  readonly size: number;
  readonly updatedAt: Date;
  /** Files that are of no use any more, to be removed outside the lock. */
  readonly trash: readonly string[];
}

/** A ref whose holder lives and brings nothing forward: it can be taken over with a copy of its bytes. */
export interface Stalled {
  readonly stalled: true;
  /** What is to be copied. */
  readonly data: string;
  /** How far the holder was. */
  readonly mark: string;
}

/** A copy of the bytes of a stalled holder as they were at `mark`. */
export interface StallCopy {
  readonly path: string;
  readonly mark: string;
}

export interface ClaimOptions {
  readonly expected: Expected;
  readonly stall: StallWatch;
  readonly records: RecordFiles;
  readonly copy?: StallCopy | undefined;
}

/**
 * Claims `ref`, and makes its ingest if there is none that can be continued.
 *
 * @throws ERR_UNAVAILABLE a living process has it, and it is not stalled (U-LCS.7)
 */
export function claim(layout: Layout, ref: string, options: ClaimOptions): Claim | Stalled {
  const paths = ingestPaths(layout, ref);
  if (statSync(paths.record, { throwIfNoEntry: false }) === undefined) return create(paths, ref, options);
  const old = readRecord(paths);
  if (old === undefined) return startOver(layout, paths, newRecord(ref, options.expected));
  const path = dataPath(paths, old.data);
  const data = orMissing(() => statSync(path));
  const isHeld = isClaimed(old) && !options.records.isAbandoned(old.token);
  if (isHeld) mustBeStalled(paths, old, data, options.stall);
  // Without its data file it has become a blob already, or lost its bytes.
  if (data === undefined || !isContinuable(old, data, ref, options.expected)) {
    return startOver(layout, paths, newRecord(ref, options.expected), path);
  }
  const next = newRecord(ref, options.expected, old);
  if (!isHeld) return continueIn(paths, old, next);
  const mark = progressMark(old, data);
  if (options.copy?.mark !== mark) return { stalled: true, data: path, mark };
  return takeOver(
    layout,
    paths,
    { ...next, data: randomUUID(), moves: old.moves + 1, safe: 0 },
    { copy: options.copy.path, old: path },
  );
}

/** Whether the claim still stands: an abort or a take-over by anybody ends it. */
export function holds({ paths, record }: Claim): boolean {
  return readRecord(paths)?.token === record.token;
}

/** Renamed at once, removed later: to free the space of a large file takes long. */
export function retire(layout: Layout, path: string): string[] {
  const trash = trashPath(layout);
  try {
    renameSync(path, trash);
    return [trash];
  } catch (error) {
    if (isErrno(error, "ENOENT")) return [];
    throw error;
  }
}

function mustBeStalled(paths: IngestPaths, old: IngestRecord, data: Stats | undefined, stall: StallWatch): void {
  const idleMs = stall.idleMs(paths.record, old, data);
  if (idleMs >= stall.limitMs) return;
  const holder = old.owner === currentOwner() ? `${process.pid} (this one)` : old.owner.split("/", 1)[0];
  const heldMs = Math.max(0, steadyClock() - old.clock);
  throw new CodedError(
    "ERR_UNAVAILABLE",
    `ingest ${old.ref}: held by process ${holder} for ${seconds(heldMs)}, without progress for ${seconds(idleMs)}`,
  );
}

/** Whether a living process holds the ingest. */
function isClaimed({ state, owner }: IngestRecord): boolean {
  return (state === "held" || state === "lost") && isOwnerAlive(owner);
}

/** Whether ref and size are those of before (U-LCS.8). */
function isContinuable(old: IngestRecord, data: Stats, ref: string, { size }: Expected): boolean {
  if (old.ref !== ref || old.state === "lost" || old.state === "done") return false;
  if (size === undefined) return true;
  return data.size <= size && (old.total === undefined || old.total === size);
}

function newRecord(ref: string, expected: Expected, old?: IngestRecord): IngestRecord {
  const since = new Date();
  return {
    safe: old?.safe ?? 0,
    state: "held",
    ref,
    ingest: old?.ingest ?? randomUUID(),
    generation: old?.generation ?? 0,
    data: old?.data ?? randomUUID(),
    moves: old?.moves ?? 0,
    startedAt: old?.startedAt ?? since,
    total: expected.size ?? old?.total,
    expected: expected.digest ?? old?.expected,
    owner: currentOwner(),
    token: randomUUID(),
    since,
    clock: steadyClock(),
  };
}

function create(paths: IngestPaths, ref: string, { expected, records }: ClaimOptions): Claim {
  const record = newRecord(ref, expected);
  const [fd, recordFile] = createData(paths, record, () => records.create(paths, record));
  return { paths, record, fd, recordFile, size: 0, updatedAt: record.since, trash: [] };
}

/**
 * Begins anew in an empty data file, which the record names.
 *
 * @param old the data file that is given up
 */
export function startOver(layout: Layout, paths: IngestPaths, record: IngestRecord, old?: string): Claim {
  const [fd] = createData(paths, record, () => replaceRecord(paths, record));
  const trash = old === undefined ? [] : retire(layout, old);
  return { paths, record, fd, size: 0, updatedAt: record.since, trash };
}

/** The holder is gone, so its data file is nobody else's. */
function continueIn(paths: IngestPaths, old: IngestRecord, next: IngestRecord): Claim {
  const path = dataPath(paths, old.data);
  const fd = openData(path);
  const { size, mtime } = fstatSync(fd);
  // After a power cut only what had been synced is trusted: the rest may be zeroes (K03, P02).
  const isSameBoot = bootOf(old.owner) === bootOf(next.owner);
  const trusted = isSameBoot ? size : Math.min(size, old.safe);
  const record = { ...next, safe: Math.min(old.safe, trusted) };
  try {
    if (trusted < size) ftruncateSync(fd, trusted);
    replaceRecord(paths, record);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { paths, record, fd, size: trusted, updatedAt: mtime, trash: [] };
}

/** Its old holder goes on in a file without a name, until it notices. */
function takeOver(
  layout: Layout,
  paths: IngestPaths,
  record: IngestRecord,
  files: { copy: string; old: string },
): Claim {
  const path = dataPath(paths, record.data);
  const fd = openData(files.copy);
  try {
    renameSync(files.copy, path);
    replaceRecord(paths, record);
  } catch (error) {
    closeSync(fd);
    removeFile(path);
    throw error;
  }
  const { size, mtime } = fstatSync(fd);
  return { paths, record, fd, size, updatedAt: mtime, trash: retire(layout, files.old) };
}

/** Makes the data file that the record names, and then the record: with it the ingest can be seen. Leaves both or neither. */
function createData<T>(
  paths: IngestPaths,
  { data }: IngestRecord,
  makeRecord: () => T,
): readonly [fd: number, made: T] {
  const path = dataPath(paths, data);
  const fd = openSync(path, "wx+", 0o600);
  try {
    return [fd, makeRecord()];
  } catch (error) {
    closeSync(fd);
    removeFile(path);
    throw error;
  }
}

function openData(path: string): number {
  // A process that died in its commit may have taken the write permission away already.
  if ((statSync(path).mode & 0o200) === 0) chmodSync(path, 0o600);
  return openSync(path, "r+");
}

function bootOf(owner: string): string {
  return owner.split("/", 3)[2] ?? "";
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
