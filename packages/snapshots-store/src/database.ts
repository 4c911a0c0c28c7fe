import { closeSync, existsSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { SQLInputValue, SQLOutputValue } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { CodedError } from "@varve/errors";
import { isErrno } from "./errno.ts";

export type Row = Readonly<Record<string, SQLOutputValue>>;

const schemaVersion = 1;
// A holder needs milliseconds; one that takes this long was stopped, or its disk hangs.
const patienceMs = 60_000;
const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

// Ids are never given twice, or what a killed process left under an old id could pass for a new snapshot.
const schema = `
CREATE TABLE snapshots (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('active', 'committed', 'view')),
  parent INTEGER REFERENCES snapshots (id),
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  bytes INTEGER,
  inodes INTEGER
) STRICT;
CREATE INDEX snapshots_by_parent ON snapshots (parent);
CREATE TABLE labels (
  snapshot INTEGER NOT NULL REFERENCES snapshots (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (snapshot, name)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = ${schemaVersion};
`;

/** Runs short synchronous sections as transactions; waiting for other processes never blocks the thread. */
export class Database {
  readonly #path: string;
  readonly #connection: DatabaseSync;
  readonly #statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();
  #closed = false;

  constructor(path: string, connection: DatabaseSync) {
    this.#path = path;
    this.#connection = connection;
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
    return this.#transact("BEGIN", section, { signal, undo: nothingToUndo });
  }

  /**
   * Runs `section` while no other process writes. All of it is kept, or nothing. `undo` is called before the write lock is
   * given up when the section or its commit has failed.
   */
  async write<T>(section: () => T, signal?: AbortSignal, undo: () => void = nothingToUndo): Promise<T> {
    return this.#transact("BEGIN IMMEDIATE", section, { signal, undo });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#statements.clear();
    this.#connection.close();
  }

  #statement(sql: string): ReturnType<DatabaseSync["prepare"]> {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#connection.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  async #transact<T>(
    begin: string,
    section: () => T,
    { signal, undo }: { readonly signal: AbortSignal | undefined; readonly undo: () => void },
  ): Promise<T> {
    // Begin, section and end in one go: the connection has one transaction at a time, so nothing may be awaited between.
    const attempt = (): T => {
      if (this.#closed) throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot store ${this.#path}: closed`);
      this.#connection.exec(begin);
      return this.#finish(section, undo);
    };
    return whenFree(this.#path, attempt, signal);
  }

  #finish<T>(section: () => T, undo: () => void): T {
    try {
      const result = section();
      this.#connection.exec("COMMIT");
      return result;
    } catch (error) {
      // SQLite itself ends the transaction after some errors; what the section did elsewhere is then left to the cleanup.
      if (this.#connection.isTransaction) {
        try {
          undo();
        } finally {
          this.#connection.exec("ROLLBACK");
        }
      }
      throw error;
    }
  }
}

/**
 * Opens the record, and makes it if there is none.
 *
 * @throws ERR_NOT_IMPLEMENTED a newer program has written it
 * @throws ERR_DATA_LOSS it is damaged
 */
export async function openDatabase(path: string): Promise<Database> {
  createOnce(path);
  const connection = new DatabaseSync(path, { timeout: 0 });
  try {
    await whenFree(path, () => {
      connection.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;");
    });
    const database = new Database(path, connection);
    const version = await database.read(() => versionOf(database));
    if (version === 0) await database.write(() => versionOf(database) === 0 && connection.exec(schema));
    else if (version > schemaVersion) throw newer(path, version);
    return database;
  } catch (error) {
    connection.close();
    throw describe(error, path);
  }
}

// SQLite would hide why the file cannot be made: no space, read-only. A file that exists is not touched: closing it would drop
// the locks that another thread of this process has on it, for those of fcntl(2) belong to the process.
function createOnce(path: string): void {
  if (existsSync(path)) return;
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  }
}

function versionOf(database: Database): number {
  return Number(database.first("PRAGMA user_version")?.["user_version"]);
}

function newer(path: string, version: number): CodedError {
  return new CodedError(
    "ERR_NOT_IMPLEMENTED",
    `snapshot store ${path}: has version ${version}, this program knows up to ${schemaVersion}`,
  );
}

/** Tries until no other process has the lock that `attempt` needs. */
async function whenFree<T>(path: string, attempt: () => T, signal?: AbortSignal): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (let bound = 1; ; bound = Math.min(bound * 2, 16)) {
    signal?.throwIfAborted();
    try {
      return attempt();
    } catch (error) {
      if (primaryCode(error) !== SQLITE_BUSY) throw describe(error, path);
      if (performance.now() > deadline) {
        throw new CodedError("ERR_UNAVAILABLE", `snapshot store ${path}: locked by another process for a minute`, {
          cause: error,
        });
      }
    }
    await sleep(1 + Math.random() * bound);
  }
}

function describe(error: unknown, path: string): unknown {
  const code = primaryCode(error);
  if (code === SQLITE_FULL) {
    const full = new Error(`snapshot store ${path}: no space left on device`, { cause: error });
    return Object.assign(full, { code: "ENOSPC" });
  }
  if (code !== SQLITE_CORRUPT && code !== SQLITE_NOTADB) return error;
  return new CodedError("ERR_DATA_LOSS", `snapshot store ${path}: damaged`, { cause: error });
}

/** SQLite's result code without its details, which are in the upper bits. */
function primaryCode(error: unknown): number | undefined {
  if (!(error instanceof Error && "errcode" in error && typeof error.errcode === "number")) return undefined;
  return error.errcode & 0xff;
}

function nothingToUndo(): void {
  // A section that only touches the database needs no more than the rollback.
}
