import type { Digest } from "@varve/digest";
import type { CallOptions, WalkOptions } from "./call-options.ts";

/** How far one ingest has come. */
export interface IngestStatus {
  /** The caller's name for this ingest. */
  readonly ref: string;
  /** Bytes written so far. */
  readonly offset: number;
  /** Bytes expected in all, if the writer was told. */
  readonly total?: number | undefined;
  /** The digest expected, if the writer was told. */
  readonly expected?: Digest | undefined;
  readonly startedAt: Date;
  /** When bytes were last written. */
  readonly updatedAt: Date;
}

export interface WriterOptions extends CallOptions {
  /** Size and digest that are known beforehand; a blob of that digest in the store is then found at once. */
  readonly expected?: Expected | undefined;
}

export interface CommitOptions extends CallOptions {
  /** Given to the blob by stores that keep labels, ignored by others. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** What a commit is held against. An absent member is not checked. */
export interface Expected {
  readonly digest?: Digest | undefined;
  readonly size?: number | undefined;
}

/**
 * Writes one ingest. It holds the lock of its ref until it is committed or closed.
 * Calls are made one after the other; a second call before the first settled is an error of the caller.
 */
export interface Writer extends AsyncDisposable {
  /** The status when last looked at; `offset` counts every byte handed to `write` so far. */
  status(): IngestStatus;
  /** The digest of the bytes so far, by the algorithm of the expected digest, else sha256. */
  digest(): Promise<Digest>;
  /** Appends. Resolves when the bytes can be followed, not when they are on disk. `chunk` may be reused then. */
  write(chunk: Uint8Array, options?: CallOptions): Promise<void>;
  /** Drops all bytes, so that writing starts again at 0. Followers fail with ERR_ABORTED. */
  truncate(): Promise<void>;
  /**
   * Makes the blob visible, durable and immutable, and ends the ingest. The writer is closed whatever comes of it.
   *
   * @throws ERR_DIGEST_MISMATCH size or digest is not as expected; the ingest and its bytes stay
   * @throws ERR_ALREADY_EXISTS the blob is in the store; the ingest is removed
   * @throws ERR_ABORTED the ingest was aborted, or taken over by another writer
   * @throws ERR_INVALID_ARGUMENT a label is too long; the ingest and its bytes stay
   */
  commit(expected?: Expected, options?: CommitOptions): Promise<Digest>;
  /** Gives up the lock and keeps the bytes, so that a later writer of this ref continues there. Closing twice is allowed. */
  close(): Promise<void>;
}

/** Takes new blobs in. */
export interface Ingester {
  /**
   * Starts, or continues, the ingest named `ref`. Only one writer at a time has a ref, over all processes;
   * the lock of a process that died is free at once. A store can have a time after which a writer that lives and makes no
   * progress can be replaced: the next one continues with its bytes, and its own next call fails with ERR_ABORTED (D9).
   *
   * @throws ERR_INVALID_ARGUMENT `ref` is empty, or the expected digest is malformed
   * @throws ERR_NOT_IMPLEMENTED the algorithm of the expected digest is unknown
   * @throws ERR_ALREADY_EXISTS the expected digest is in the store
   * @throws ERR_UNAVAILABLE another writer holds `ref`: try again, see `openWriter`
   */
  writer(ref: string, options?: WriterOptions): Promise<Writer>;
}

/** Sees and ends ingests, whoever writes them. */
export interface IngestManager {
  /** @throws ERR_NOT_FOUND no such ingest */
  status(ref: string, options?: CallOptions): Promise<IngestStatus>;
  /** All ingests, in no particular order. Filters know the field `ref` (U-LCS.15). */
  statuses(options?: WalkOptions): AsyncIterable<IngestStatus>;
  /**
   * Drops an ingest and its bytes. A writer that holds it fails at its next call.
   *
   * @throws ERR_NOT_FOUND no such ingest
   */
  abort(ref: string, options?: CallOptions): Promise<void>;
}

/** Whether `store` implements `Ingester`. */
export function canIngest<T extends object>(store: T): store is T & Ingester {
  return "writer" in store && typeof store.writer === "function";
}

/** Whether `store` implements `IngestManager`. */
export function canManageIngests<T extends object>(store: T): store is T & IngestManager {
  return ["status", "statuses", "abort"].every((name) => typeof Reflect.get(store, name) === "function");
}
