import { closeSync, existsSync, openSync } from "node:fs";
import type { DatabaseSync, SQLInputValue, SQLOutputValue } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { CodedError } from "@varve/errors";
import { connect } from "./connection.ts";
import type { Connection } from "./connection.ts";
import { isErrno, withSubject } from "./errno.ts";
import { mustHaveNoSnapshots, mustNotBeLost } from "./lost-record.ts";
import { writeRefusal } from "./refusal.ts";
import { Reserve } from "./reserve.ts";
import { schema, schemaVersion, writeProbe } from "./schema.ts";
import { isBusy, isRefused, refusedError, translate } from "./sqlite-errors.ts";

export type Row = Readonly<Record<string, SQLOutputValue>>;

// A holder needs milliseconds; one that takes this long was stopped, or its disk hangs.
const patienceMs = 60_000;

interface Transaction<T> {
  readonly begin: "BEGIN" | "BEGIN IMMEDIATE";
  readonly section: () => T;
  readonly undo?: (() => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs short synchronous sections as transactions; waiting for other processes never blocks the thread. A section may run
 * more than once, only the last time counts.
 */
export class Database {
  readonly #path: string;
  readonly #reserve: Reserve;
  readonly #statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();
  #connection: Connection | undefined;
  #closed = false;

  /** @param path of a file that is there */
  constructor(path: string) {
    this.#path = path;
    this.#reserve = new Reserve(path);
  }

  /** All rows of a query. Only inside a section. */
  all(sql: string, ...values: SQLInputValue[]): readonly Row[] {
    return this.#statement(sql).all(...values);
  }

  /** The first row of a query. Only inside a section. */
  first(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#statement(sql).get(...values);
  }

  /** A view of one moment. */
  async read<T>(section: () => T, signal?: AbortSignal): Promise<T> {
    return this.#transact({ begin: "BEGIN", section, signal });
  }

  /**
   * Runs `section` while no other process writes. All of it is kept, or nothing. `undo` is called before the write lock is
   * given up when the section or its commit has failed.
   */
  async write<T>(section: () => T, signal?: AbortSignal, undo?: () => void): Promise<T> {
    const proven = (): T => {
      this.all(writeProbe);
      return section();
    };
    return this.#transact({ begin: "BEGIN IMMEDIATE", section: proven, undo, signal });
  }

  /** As `write`, for what makes room: on a full disk it gets space that is held back for it (F01). */
  async free<T>(section: () => T, signal?: AbortSignal): Promise<T> {
    return this.#withReserve(() => this.write(section, signal));
  }

  /** Makes what a new file lacks. */
  async initialize(): Promise<void> {
    await this.#withReserve(() => this.#initialize());
    if (this.#connection?.readOnly === undefined) await this.#reserve.hold();
  }

  close(): void {
    this.#closed = true;
    this.#disconnect();
  }

  async #initialize(): Promise<void> {
    const version = (): number => Number(this.first("PRAGMA user_version")?.["user_version"]);
    const found = await this.read(version);
    if (found > schemaVersion) throw newer(this.#path, found);
    if (found > 0) return;
    const section = (): void => {
      if (version() > 0) return;
      mustHaveNoSnapshots(this.#path);
      this.#current().exec(schema);
    };
    await this.#transact({ begin: "BEGIN IMMEDIATE", section });
  }

  async #withReserve<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (!isErrno(error, "ENOSPC") || !(await this.#reserve.release())) throw error;
    }
    try {
      return await call();
    } finally {
      this.#shrinkLog();
      await this.#reserve.hold();
    }
  }

  /** So that the space it has taken serves the next call. */
  #shrinkLog(): void {
    try {
      this.#connection?.handle.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch {
      // Others are reading it. It gets no longer than it is now once they are done.
    }
  }

  async #transact<T>(transaction: Transaction<T>): Promise<T> {
    const deadline = performance.now() + patienceMs;
    let wasRefused = false;
    for (let bound = 1; ; bound = Math.min(bound * 2, 16)) {
      transaction.signal?.throwIfAborted();
      try {
        return this.#attempt(transaction);
      } catch (error) {
        if (!isBusy(error)) {
          const failure = translate(error, this.#path);
          if (!isRefused(error)) throw failure;
          // Such a connection stays as it is for its life. The next may come when there are descriptors again (F04).
          this.#disconnect();
          if (wasRefused) throw failure;
          wasRefused = true;
        } else if (performance.now() > deadline) throw this.#locked(error);
      }
      await sleep(1 + Math.random() * bound);
    }
  }

  // Begin, section and end in one go: the connection has one transaction at a time, so nothing may be awaited between.
  #attempt<T>({ begin, section, undo }: Transaction<T>): T {
    const { handle, readOnly, blind } = this.#connected();
    if (begin === "BEGIN IMMEDIATE" && readOnly !== undefined) throw refusedError(readOnly, this.#path);
    try {
      handle.exec(begin);
      return finish(handle, section, undo);
    } finally {
      if (blind) this.#disconnect();
    }
  }

  #connected(): Connection {
    if (this.#closed) throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot store ${this.#path}: closed`);
    if (this.#connection?.readOnly !== undefined && writeRefusal(this.#path) === undefined) this.#disconnect();
    if (this.#connection === undefined) {
      mustNotBeLost(this.#path);
      // SQLite would make another.
      if (!existsSync(this.#path)) throw new CodedError("ERR_DATA_LOSS", `snapshot store ${this.#path}: is gone`);
      this.#connection = connect(this.#path);
    }
    return this.#connection;
  }

  /** That of the section that runs, which must not change under it. */
  #current(): DatabaseSync {
    if (this.#connection !== undefined) return this.#connection.handle;
    throw new CodedError("ERR_INTERNAL", `snapshot store ${this.#path}: used outside a section`);
  }

  #disconnect(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#statements.clear();
    connection?.handle.close();
  }

  #statement(sql: string): ReturnType<DatabaseSync["prepare"]> {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#current().prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #locked(cause: unknown): CodedError {
    const message = `snapshot store ${this.#path}: locked by another process for a minute`;
    return new CodedError("ERR_UNAVAILABLE", message, { cause });
  }
}

function finish<T>(handle: DatabaseSync, section: () => T, undo: (() => void) | undefined): T {
  try {
    const result = section();
    handle.exec("COMMIT");
    return result;
  } catch (error) {
    // SQLite itself ends the transaction after some errors; what the section did elsewhere is then left to the cleanup.
    if (handle.isTransaction) {
      try {
        undo?.();
      } finally {
        handle.exec("ROLLBACK");
      }
    }
    throw error;
  }
}

/**
 * Opens the record, and makes it if there is none. What may not be written is opened for reading.
 *
 * @throws ERR_NOT_IMPLEMENTED a newer program has written it
 * @throws ERR_DATA_LOSS it is damaged, or lost while its snapshots are there
 */
export async function openDatabase(path: string): Promise<Database> {
  mustNotBeLost(path);
  createOnce(path);
  const database = new Database(path);
  try {
    await database.initialize();
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

// SQLite would hide why the file cannot be made: no space, read-only. A file that exists is not touched: closing it would drop
// the locks that another thread of this process has on it, for those of fcntl(2) belong to the process.
function createOnce(path: string): void {
  if (existsSync(path)) return;
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw withSubject(error, `snapshot store ${path}`, path);
  }
}

function newer(path: string, version: number): CodedError {
  const message = `snapshot store ${path}: has version ${version}, this program knows up to ${schemaVersion}`;
  return new CodedError("ERR_NOT_IMPLEMENTED", message);
}
