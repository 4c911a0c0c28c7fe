import { randomUUID } from "node:crypto";
import { chmodSync, closeSync, openSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Expected } from "@varve/content";
import { CodedError } from "@varve/errors";
import { currentOwner, isOwnerAlive } from "@varve/locks";
import { orMissing } from "./errno.ts";
import { parseObject, readRecord, replaceFile, writeRecord } from "./ingest-record.ts";
import type { IngestRecord } from "./ingest-record.ts";
import { ingestPaths, trashPrefix } from "./layout.ts";
import type { IngestPaths, Layout } from "./layout.ts";
import { makeDirectory } from "./make-directory.ts";

// All functions here are synchronous and to be called inside the lock of the store.

/** The right to write one ingest: held until it is released, or its process dies. */
export interface Claim {
  readonly paths: IngestPaths;
  readonly record: IngestRecord;
  /** Tells this claim from a later one on the same ref. */
  readonly token: string;
}

/**
 * Claims `ref`, and makes its ingest if there is none that can be continued.
 *
 * @throws ERR_UNAVAILABLE a living process has it (U-LCS.7)
 */
export function claim(layout: Layout, ref: string, expected: Expected): Claim {
  const paths = ingestPaths(layout, ref);
  const holder = readHolder(paths);
  if (holder !== undefined && isOwnerAlive(holder.owner)) {
    throw new CodedError(
      "ERR_UNAVAILABLE",
      `ingest ${ref}: held by process ${pidOf(holder.owner)} since ${holder.since}`,
    );
  }
  const old = continuable(paths, ref, expected);
  if (old === undefined) rmSync(paths.dir, { recursive: true, force: true });
  makeDirectory(paths.dir, 0o700);
  try {
    return take(paths, ref, expected, old);
  } catch (error) {
    // On a full disk above all: a claim that is half made must not lock the ref as long as this process lives.
    rmSync(old === undefined ? paths.dir : paths.owner, { recursive: true, force: true });
    throw error;
  }
}

function take(paths: IngestPaths, ref: string, expected: Expected, old: IngestRecord | undefined): Claim {
  const token = randomUUID();
  const since = new Date();
  replaceFile(paths.owner, JSON.stringify({ owner: currentOwner(), token, since: since.toISOString() }));
  const record: IngestRecord = {
    ref,
    startedAt: old?.startedAt ?? since,
    total: expected.size ?? old?.total,
    expected: expected.digest ?? old?.expected,
  };
  if (old === undefined) closeSync(openSync(paths.data, "wx", 0o600));
  writeRecord(paths, record);
  return { paths, record, token };
}

/** Whether the claim still stands: an abort by anybody ends it. */
export function holds({ paths, token }: Claim): boolean {
  return readHolder(paths)?.token === token;
}

/** Gives a claim up. One that was lost already is no error. */
export function release(held: Claim): void {
  if (holds(held)) rmSync(held.paths.owner, { force: true });
}

/** Replaces the bytes by none. The old file is unlinked, so that its readers see that it is dropped. */
export function dropBytes(paths: IngestPaths): void {
  const next = `${paths.data}.new`;
  closeSync(openSync(next, "w", 0o600));
  renameSync(next, paths.data);
}

/** Removes an ingest whose bytes became a blob, or are not needed. */
export function removeIngest(paths: IngestPaths): void {
  rmSync(paths.dir, { recursive: true, force: true });
}

/** Takes an ingest away in one step; removing what comes back is left to the caller, who need not hold the lock for it. */
export function moveToTrash(layout: Layout, paths: IngestPaths): string {
  const trash = join(layout.ingests, `${trashPrefix}${randomUUID()}`);
  renameSync(paths.dir, trash);
  return trash;
}

/** Whether a directory is of no use: without a valid record or without bytes, and nobody works on it. */
export function isLeftover(paths: IngestPaths): boolean {
  const holder = readHolder(paths);
  if (holder !== undefined && isOwnerAlive(holder.owner)) return false;
  return readRecord(paths) === undefined || orMissing(() => statSync(paths.data)) === undefined;
}

function readHolder(paths: IngestPaths): { owner: string; token: string; since: string } | undefined {
  const value = parseObject(orMissing(() => readFileSync(paths.owner, "utf8")));
  if (value === undefined) return undefined;
  const { owner, token, since } = value;
  return typeof owner === "string" && typeof token === "string" && typeof since === "string"
    ? { owner, token, since }
    : undefined;
}

/** The record, if the ref and the size are those of before (U-LCS.8). */
function continuable(paths: IngestPaths, ref: string, expected: Expected): IngestRecord | undefined {
  const record = readRecord(paths);
  if (record === undefined || record.ref !== ref) return undefined;
  const { size } = expected;
  if (size !== undefined && record.total !== undefined && record.total !== size) return undefined;
  const data = orMissing(() => statSync(paths.data));
  if (data === undefined || (size !== undefined && data.size > size)) return undefined;
  // A process that died in its commit may have taken the write permission away already.
  if ((data.mode & 0o200) === 0) chmodSync(paths.data, 0o600);
  return record;
}

function pidOf(owner: string): string {
  return owner === currentOwner() ? `${process.pid} (this one)` : owner.slice(0, owner.indexOf("/"));
}
