import { accessSync, closeSync, constants, existsSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { CodedError } from "@varve/errors";
import { backoffDelays, sleep } from "@varve/locks";
import { isErrno } from "./errno.ts";

const busy = 5; // SQLITE_BUSY
const patienceMs = 10_000;

/**
 * One lock for the short steps that must not interleave between processes: claiming a ref, making a blob visible.
 * It is SQLite's file lock on an empty database, because Node has no other that the kernel frees when the holder dies.
 * Nothing is ever stored in the file, so nothing in it can be damaged.
 */
export class StoreLock {
  readonly #path: string;
  #database: DatabaseSync | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Runs `section` while no other process or thread runs one. It is synchronous, so it cannot interleave with anything in
   * this thread either, and short.
   *
   * @throws ERR_UNAVAILABLE somebody has held the lock for seconds: a stopped process, as a section takes microseconds
   */
  async run<T>(section: () => T, signal?: AbortSignal): Promise<T> {
    const deadline = performance.now() + patienceMs;
    const delays = backoffDelays({ first: 2, cap: 32 });
    while (!this.#tryBegin()) {
      if (performance.now() > deadline) {
        throw new CodedError("ERR_UNAVAILABLE", `content store: lock ${this.#path} held by another process for 10 s`);
      }
      await sleep(1 + delays.next().value, { signal });
    }
    try {
      return section();
    } finally {
      this.#database?.exec("COMMIT");
    }
  }

  close(): void {
    this.#database?.close();
    this.#database = undefined;
  }

  #tryBegin(): boolean {
    createOnce(this.#path);
    const database = this.#database ?? new DatabaseSync(this.#path, { timeout: 0 });
    try {
      // Without this, each lock would create an empty journal file.
      if (this.#database === undefined) database.exec("PRAGMA journal_mode = OFF");
      this.#database = database;
      database.exec("BEGIN EXCLUSIVE");
      return true;
    } catch (error) {
      if (this.#database === undefined) database.close();
      if (error instanceof Error && "errcode" in error && error.errcode === busy) return false;
      // SQLite says no more than that it cannot; the system says why: a read-only file system, a missing permission.
      accessSync(this.#path, constants.R_OK | constants.W_OK);
      throw error;
    }
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
