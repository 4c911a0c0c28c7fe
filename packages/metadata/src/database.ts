import { DatabaseSync } from "node:sqlite";
import type { SQLInputValue, SQLOutputValue } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { CodedError } from "@varve/errors";

// Result codes of SQLite, https://www.sqlite.org/rescode.html
const busy = 5;
const full = 13;
const corrupt = 11;
const notADatabase = 26;
const patienceMs = 10_000;

export type Row = Readonly<Record<string, SQLOutputValue>>;
type Value = SQLInputValue;

/** Statements within one `read` or `write`. */
export interface Session {
  all(sql: string, ...values: readonly Value[]): readonly Row[];
  get(sql: string, ...values: readonly Value[]): Row | undefined;
  /** Says how many rows were changed. */
  run(sql: string, ...values: readonly Value[]): number;
}

/**
 * One SQLite file that several processes may use. Waiting for another process does not block the thread: an attempt that
 * finds the file locked is made again a little later.
 */
export class Database {
  readonly #path: string;
  readonly #session: Session;
  #connection: DatabaseSync | undefined;

  private constructor(path: string, connection: DatabaseSync) {
    this.#path = path;
    this.#connection = connection;
    this.#session = sessionOf(connection);
  }

  /**
   * Opens the file, and brings it to the newest format in one step.
   *
   * @param migrations element i brings format i to i + 1
   * @throws ERR_NOT_IMPLEMENTED the file has a newer format
   * @throws ERR_INVALID_DATA the file is no database of ours
   */
  static async open(path: string, applicationId: number, migrations: readonly string[]): Promise<Database> {
    const connection = new DatabaseSync(path, { timeout: 0, enableForeignKeyConstraints: true });
    const database = new Database(path, connection);
    try {
      await database.#attempt(() => {
        connection.exec("PRAGMA journal_mode = WAL");
        connection.exec("PRAGMA synchronous = FULL");
      });
      await database.#migrate(applicationId, migrations);
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** Reads one consistent state. */
  read<T>(section: (session: Session) => T, signal?: AbortSignal): Promise<T> {
    return this.#transaction("BEGIN", section, signal);
  }

  /** Changes all or nothing; durable when it resolves. */
  write<T>(section: (session: Session) => T, signal?: AbortSignal): Promise<T> {
    return this.#transaction("BEGIN IMMEDIATE", section, signal);
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  #migrate(applicationId: number, migrations: readonly string[]): Promise<void> {
    const known = migrations.length;
    return this.write((session) => {
      const format = numberOf(session, "user_version");
      const application = numberOf(session, "application_id");
      const isEmpty = session.get("SELECT 1 FROM sqlite_master LIMIT 1") === undefined;
      if (application !== applicationId && !(application === 0 && isEmpty)) {
        throw new CodedError("ERR_INVALID_DATA", `metadata ${this.#path}: a database of another program`);
      }
      if (format > known) {
        throw new CodedError(
          "ERR_NOT_IMPLEMENTED",
          `metadata ${this.#path}: format ${format} is newer than ${known}, the newest known to this version`,
        );
      }
      if (format === known) return;
      for (const migration of migrations.slice(format)) this.#connection?.exec(migration);
      this.#connection?.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${known}`);
    });
  }

  #transaction<T>(begin: string, section: (session: Session) => T, signal: AbortSignal | undefined): Promise<T> {
    return this.#attempt(() => {
      const connection = this.#connection;
      if (connection === undefined) throw new CodedError("ERR_FAILED_PRECONDITION", `metadata ${this.#path}: closed`);
      connection.exec(begin);
      try {
        const result = section(this.#session);
        connection.exec("COMMIT");
        return result;
      } catch (error) {
        // Some failures, a full disk among them, have ended the transaction already.
        if (connection.isTransaction) connection.exec("ROLLBACK");
        throw error;
      }
    }, signal);
  }

  async #attempt<T>(call: () => T, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const deadline = performance.now() + patienceMs;
    for (let bound = 2; ; bound = Math.min(bound * 2, 64)) {
      try {
        return call();
      } catch (error) {
        const failure = this.#translate(error);
        if (failure !== "busy") throw failure;
        if (performance.now() > deadline) {
          throw new CodedError("ERR_UNAVAILABLE", `metadata ${this.#path}: locked by another process for 10 s`, {
            cause: error,
          });
        }
      }
      await sleep(1 + Math.random() * bound);
      signal?.throwIfAborted();
    }
  }

  #translate(error: unknown): unknown {
    if (!(error instanceof Error && "errcode" in error && typeof error.errcode === "number")) return error;
    const subject = `metadata ${this.#path}`;
    switch (error.errcode & 0xff) {
      case busy:
        return "busy";
      case full:
        return Object.assign(new Error(`${subject}: no space left on device`, { cause: error }), { code: "ENOSPC" });
      case corrupt:
        return new CodedError("ERR_DATA_LOSS", `${subject}: the database is damaged`, { cause: error });
      case notADatabase:
        return new CodedError("ERR_INVALID_DATA", `${subject}: not a database`, { cause: error });
      default:
        return error;
    }
  }
}

function sessionOf(connection: DatabaseSync): Session {
  const statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();
  const prepared = (sql: string): ReturnType<DatabaseSync["prepare"]> => {
    const known = statements.get(sql) ?? connection.prepare(sql);
    statements.set(sql, known);
    return known;
  };
  return {
    all: (sql, ...values) => prepared(sql).all(...values),
    get: (sql, ...values) => prepared(sql).get(...values),
    run: (sql, ...values) => Number(prepared(sql).run(...values).changes),
  };
}

function numberOf(session: Session, pragma: string): number {
  return Number(session.get(`PRAGMA ${pragma}`)?.[pragma] ?? 0);
}
