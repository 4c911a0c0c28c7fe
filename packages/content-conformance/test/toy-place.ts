import type { BlobInfo, IngestStatus, QuarantinedBlob } from "@varve/content";
import { isDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { ErrorCode } from "@varve/errors";
import type { ToyWriter } from "./toy-writer.ts";

export interface Tape {
  chunks: Uint8Array[];
  state: "growing" | "committed" | "dropped";
}

export interface Ingest {
  readonly ref: string;
  readonly startedAt: Date;
  updatedAt: Date;
  /** Of the holder, by `performance.now`. */
  progressAt: number;
  commits: boolean;
  total: number | undefined;
  expected: Digest | undefined;
  tape: Tape;
  holder: ToyWriter | undefined;
}

export interface Blob {
  info: BlobInfo;
  bytes: Uint8Array;
}

/** What stores opened at one place share. */
export class ToyPlace {
  readonly blobs: Map<string, Blob> = new Map();
  readonly ingests: Map<string, Ingest> = new Map();
  readonly quarantined: Map<string, QuarantinedBlob> = new Map();
  readonly leftLabels: Map<string, BlobInfo["labels"]> = new Map();
  readonly tape: Tape = { chunks: [], state: "growing" };
}

export function fail(code: ErrorCode, message: string): CodedError {
  return new CodedError(code, message);
}

export function mustBeDigest(text: string): void {
  if (!isDigest(text)) throw fail("ERR_INVALID_ARGUMENT", `digest ${text}: malformed`);
}

export function statusOf({ ref, startedAt, updatedAt, total, expected, tape }: Ingest): IngestStatus {
  const offset = tape.chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return { ref, offset, total, expected, startedAt, updatedAt };
}
