import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { isDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { orMissing } from "./errno.ts";
import type { IngestPaths } from "./layout.ts";

/** What is kept of an ingest beside its bytes. */
export interface IngestRecord {
  readonly ref: string;
  readonly startedAt: Date;
  readonly total?: number | undefined;
  readonly expected?: Digest | undefined;
}

/** Reads a record; one that is missing or half written is `undefined` (K02). */
export function readRecord(paths: IngestPaths): IngestRecord | undefined {
  const ref = orMissing(() => readFileSync(paths.ref, "utf8"));
  const status = parseObject(orMissing(() => readFileSync(paths.status, "utf8")));
  if (ref === undefined || ref === "" || status === undefined) return undefined;
  const startedAt = new Date(typeof status["startedAt"] === "string" ? status["startedAt"] : Number.NaN);
  if (Number.isNaN(startedAt.getTime())) return undefined;
  const { total, expected } = status;
  return {
    ref,
    startedAt,
    total: typeof total === "number" && Number.isSafeInteger(total) && total >= 0 ? total : undefined,
    expected: isDigest(expected) ? expected : undefined,
  };
}

/** Writes a record; `ref` comes last and makes the ingest valid. */
export function writeRecord(paths: IngestPaths, record: IngestRecord): void {
  const { ref, startedAt, total, expected } = record;
  replaceFile(paths.status, JSON.stringify({ startedAt: startedAt.toISOString(), total, expected }));
  replaceFile(paths.ref, ref);
}

/** The old content or the new, whenever a process dies (U-LCS.16). */
export function replaceFile(path: string, text: string): void {
  const next = `${path}.new`;
  writeFileSync(next, text, { mode: 0o600 });
  renameSync(next, path);
}

/** `undefined` for whatever is not a JSON object. */
export function parseObject(text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined) return undefined;
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
