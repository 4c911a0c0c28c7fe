import { accessSync, closeSync, constants, existsSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { StatementSync } from "node:sqlite";
import { CodedError } from "@varve/errors";
import { backoffDelays } from "@varve/locks";
import { isErrno } from "./errno.ts";

// Result codes of SQLite, https://www.sqlite.org/rescode.html
const busy = 5;
const readOnly = 8;
const patienceMs = 10_000;
/** How long sections that wait together may run before others get a chance. */
const batchMs = 2;

interface Job {
  readonly deadline: number;
  readonly run: () => void;
  readonly reject: (error: unknown) => void;
}

interface Handle {
  readonly database: DatabaseSync;
  readonly begin: StatementSync;
  readonly end: StatementSync;
  /** Whether it was seen to lock: SQLite opens read-only what it may not write, and locks nothing then. */
  isProven: boolean;
}

/**
 * One lock for the short steps that must not interleave between processes: claiming a ref, making a blob visible.
 * It is SQLite's file lock on an empty database, because Node has no other that the kernel frees when the holder dies.
 * Nothing is ever stored in the file, so nothing in it can be damaged.
 */
export class StoreLock {
  readonly #path: string;
  readonly #jobs: Set<Job> = new Set();
  #handle: Handle | undefined;
  #scheduled = false;
  #delays: Iterator<number, never> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Runs `section` while no other process or thread runs one. It is synchronous, so it cannot interleave with anything in
   * this thread either, and short. Sections that are asked for in the same turn share one locking, in their order.
   *
   * @throws ERR_UNAVAILABLE somebody has held the lock for seconds: a stopped process, as a section takes microseconds
   */
  run<T>(section: () => T, signal?: AbortSignal): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    if (signal?.aborted === true) {
      reject(signal.reason);
      return promise;
    }
    const leave = (): void => {
      this.#jobs.delete(job);
      reject(signal?.reason);
    };
    const run = (): void => {
      signal?.removeEventListener("abort", leave);
      try {
        resolve(section());
      } catch (error) {
        reject(error);
      }
    };
    const job: Job = { deadline: performance.now() + patienceMs, run, reject };
    signal?.addEventListener("abort", leave, { once: true });
    this.#jobs.add(job);
    if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(() => this.#serve());
    }
    return promise;
  }

  close(): void {
    this.#handle?.database.close();
    this.#handle = undefined;
  }

  #serve(): void {
    this.#scheduled = false;
    try {
      if (this.#jobs.size === 0) return;
      if (this.#tryBegin()) this.#runBatch();
    } catch (error) {
      this.#rejectAll(() => true, error);
    }
    if (this.#jobs.size === 0) return;
    this.#scheduled = true;
    this.#delays ??= backoffDelays({ first: 2, cap: 32 });
    setTimeout(() => this.#serve(), 1 + this.#delays.next().value);
    const now = performance.now();
    const late = new CodedError(
      "ERR_UNAVAILABLE",
      `content store: lock ${this.#path} held by another process for 10 s`,
    );
    this.#rejectAll(({ deadline }) => deadline < now, late);
  }

  #runBatch(): void {
    this.#delays = undefined;
    const until = performance.now() + batchMs;
    try {
      for (const job of this.#jobs) {
        this.#jobs.delete(job);
        job.run();
        if (performance.now() > until) break;
      }
    } finally {
      this.#handle?.end.run();
    }
  }

  #rejectAll(which: (job: Job) => boolean, error: unknown): void {
    for (const job of this.#jobs) {
      if (!which(job)) continue;
      this.#jobs.delete(job);
      job.reject(error);
    }
  }

  /** A connection that was opened while descriptors were short is read-only for good, so the next attempt opens another. */
  #prove(handle: Handle): void {
    if (handle.isProven) return;
    try {
      // Rolled back with the rest.
      handle.database.exec("PRAGMA user_version = 1");
      handle.isProven = true;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #tryBegin(): boolean {
    if (this.#handle === undefined) createOnce(this.#path);
    try {
      this.#handle ??= openLock(this.#path);
      this.#handle.begin.run();
      this.#prove(this.#handle);
      return true;
    } catch (error) {
      if (error instanceof Error && "errcode" in error && error.errcode === busy) return false;
      sayWhy(this.#path);
      if (error instanceof Error && "errcode" in error && error.errcode === readOnly) return false;
      // The file is empty, so what SQLite takes for damage is a disk that cannot be read.
      throw new CodedError("ERR_DATA_LOSS", `content store: lock ${this.#path} cannot be taken`, { cause: error });
    }
  }
}

function openLock(path: string): Handle {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // Without this, each lock would create a journal file.
    database.exec("PRAGMA journal_mode = MEMORY");
    // To SQLite, beginning to write an empty file changes it: a commit would write, and be refused while another process
    // is just looking whether the lock is free. A rollback needs nobody's consent.
    return { database, begin: database.prepare("BEGIN IMMEDIATE"), end: database.prepare("ROLLBACK"), isProven: false };
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * SQLite would hide why the file cannot be made (no space, read-only). A file that exists is never opened here: closing it
 * would drop the locks that another thread of this process has on it.
 */
function createOnce(path: string): void {
  if (existsSync(path)) return;
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  }
}

/** SQLite says no more than that it cannot. The system says why: read-only, not allowed, out of descriptors. */
function sayWhy(path: string): void {
  accessSync(path, constants.R_OK | constants.W_OK);
  closeSync(openSync(dirname(path), "r"));
}
