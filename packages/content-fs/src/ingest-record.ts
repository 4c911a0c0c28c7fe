import { closeSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { isDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { orMissing } from "./errno.ts";
import { isDataName, isPathOf } from "./layout.ts";
import type { IngestPaths } from "./layout.ts";

/**
 * `held` as long as the owner lives. `lost`: the disk failed to keep the bytes, they are not to be continued. `done`: there is no
 * ingest any more, and the record says what blob came of it.
 */
export type RecordState = "held" | "free" | "lost" | "done";

/** What changes in the life of a record, kept where it can be overwritten in place, on a full disk too. */
export interface RecordHead {
  /** Bytes of the data file that are on disk, whatever happens to the power. */
  readonly safe: number;
  readonly state: RecordState;
}

/** What is kept of an ingest beside its bytes. */
export interface IngestRecord extends RecordHead {
  readonly ref: string;
  /** Tells this ingest from an earlier or later one of the same ref. */
  readonly ingest: string;
  /** Raised when the bytes are dropped: with the same number, another data file is a continuation. */
  readonly generation: number;
  /** The name of the data file. */
  readonly data: string;
  /** How often the ingest was taken over, and so got another data file. */
  readonly moves: number;
  /** What the bytes turned out to be, with the state `done`. */
  readonly digest?: Digest | undefined;
  readonly startedAt: Date;
  readonly total?: number | undefined;
  readonly expected?: Digest | undefined;
  /** The process that writes, or wrote last. */
  readonly owner: string;
  /** Tells a claim of the ref from every other. */
  readonly token: string;
  readonly since: Date;
  /** `since` on the clock that nobody sets, in milliseconds. */
  readonly clock: number;
}

/** Reads a record; one that is missing or half written is `undefined` (K02). */
export function readRecord(paths: IngestPaths): IngestRecord | undefined {
  const text = orMissing(() => readFileSync(paths.record, "utf8"));
  const record = text === undefined ? undefined : parseRecord(text);
  return record !== undefined && isPathOf(paths, record.ref) ? record : undefined;
}

const headForm = /^([0-9]{16}) (held|free|lost|done)\n/;

function parseRecord(text: string): IngestRecord | undefined {
  const head = headForm.exec(text);
  if (head === null) return undefined;
  const [matched, safe, state] = head;
  const value = parseObject(text.slice(matched.length));
  if (value === undefined || !isState(state)) return undefined;
  const { ref, ingest, generation, data, moves, digest, startedAt, total, expected, owner, token, since, clock } =
    value;
  const [started, claimed] = [dateOf(startedAt), dateOf(since)];
  if (typeof ref !== "string" || ref === "" || typeof ingest !== "string" || !isDataName(data)) return undefined;
  if (typeof owner !== "string" || typeof token !== "string") return undefined;
  if (started === undefined || claimed === undefined || !isCount(generation)) return undefined;
  return {
    safe: Number(safe),
    state,
    ref,
    ingest,
    generation,
    data,
    moves: isCount(moves) ? moves : 0,
    digest: isDigest(digest) ? digest : undefined,
    startedAt: started,
    total: isCount(total) ? total : undefined,
    expected: isDigest(expected) ? expected : undefined,
    owner,
    token,
    since: claimed,
    clock: typeof clock === "number" ? clock : 0,
  };
}

/** The old record or the new, whenever a process dies (U-LCS.16). */
export function replaceRecord(paths: IngestPaths, record: IngestRecord): void {
  const next = `${paths.record}.new`;
  const bytes = recordBytes(record);
  const fd = openSync(next, "w", 0o600);
  try {
    for (let done = 0; done < bytes.byteLength;) done += writeSync(fd, bytes, done);
  } finally {
    closeSync(fd);
  }
  renameSync(next, paths.record);
}

/** All of a record, filled up to the same size unless its ref is very long: so one can be overwritten with another. */
export function recordBytes({ safe, state, ...rest }: IngestRecord): Buffer {
  return Buffer.from(`${headText({ safe, state })}${JSON.stringify(rest)}`.padEnd(spareSize - 1).concat("\n"));
}

/** Bytes of a record that can be overwritten with another. */
export const spareSize = 1024;

/** The bytes to write at the start of a record. */
export function headBytes({ safe, state }: RecordHead): Buffer {
  return Buffer.from(headText({ safe, state }));
}

function headText({ safe, state }: RecordHead): string {
  return `${String(safe).padStart(16, "0")} ${state}\n`;
}

/** `undefined` for whatever is not a JSON object. */
function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isState(text: string | undefined): text is RecordState {
  return text === "held" || text === "free" || text === "lost" || text === "done";
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function dateOf(value: unknown): Date | undefined {
  const date = new Date(typeof value === "string" ? value : Number.NaN);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
