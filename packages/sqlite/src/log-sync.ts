import { closeSync, fdatasync, openSync } from "node:fs";
import { promisify } from "node:util";
import { codeOf } from "./refusal.ts";

type Sync = (fd: number) => Promise<void>;

/**
 * Brings the log of a database to disk in one of libuv's threads: SQLite itself would block this one for as long as the disk takes,
 * which is long while others write to it. Whoever comes while a sync runs needs the next one, and shares it with all who wait.
 *
 * SQLite has no locks on the log, so that a descriptor of our own does no harm: closing one of the database would drop those of
 * the process (fcntl(2)).
 */
export class LogSync {
  readonly #path: string;
  readonly #sync: Sync;
  #fd: number | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #isClosed = false;

  /** @param database its path */
  constructor(database: string, sync: Sync = promisify(fdatasync)) {
    this.#path = `${database}-wal`;
    this.#sync = sync;
  }

  /** What is committed to the log by now is on disk when it resolves. Rejects with the error of the system. */
  sync(): Promise<void> {
    this.#next ??= this.#syncNext();
    return this.#next;
  }

  /**
   * Opens the log if it is there. Before a commit, so that no sync of it fails for want of a descriptor, and because the kernel tells
   * each descriptor once of a write that it could not do.
   */
  open(): void {
    if (this.#isClosed || this.#fd !== undefined) return;
    try {
      this.#fd = openSync(this.#path, "r+");
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
    }
  }

  /** Syncs nothing any more. */
  close(): void {
    this.#isClosed = true;
    this.letGo();
  }

  /** Lets go of the log, which may be another file when the database is opened again. */
  letGo(): void {
    const fd = this.#fd;
    if (fd === undefined) return;
    this.#fd = undefined;
    // A descriptor that is closed under a sync may be another file's already.
    const closeIt = (): void => closeSync(fd);
    void (this.#running ?? Promise.resolve()).then(closeIt, closeIt);
  }

  async #syncNext(): Promise<void> {
    // A failed sync is told to those it was for; it says nothing about this one.
    await this.#running?.catch(() => undefined);
    this.#running = this.#next;
    this.#next = undefined;
    this.open();
    if (this.#fd === undefined) throw Object.assign(new Error(`${this.#path}: is gone`), { code: "ENOENT" });
    await this.#sync(this.#fd);
  }
}
