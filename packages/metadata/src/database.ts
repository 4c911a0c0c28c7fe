import type { DatabaseSync, SQLInputValue, SQLOutputValue } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { CodedError } from "@varve/errors";
import { Reserve } from "./reserve.ts";
import { isBusy, isNoSpace, translate } from "./sqlite-errors.ts";
import { WriteQueue } from "./write-queue.ts";

const patienceMs = 10_000;

export type Row = Readonly<Record<string, SQLOutputValue>>;
type Value = SQLInputValue;

/** Statements within one `read`, `write` or `free`. */
export interface Session {
  all(sql: string, ...values: readonly Value[]): readonly Row[];
  get(sql: string, ...values: readonly Value[]): Row | undefined;
  /** Says how many rows were changed. */
  run(sql: string, ...values: readonly Value[]): number;
}

export interface DatabaseOptions {
  readonly readOnly: boolean;
  readonly durability: "full" | "none";
}

/**
 * One SQLite file that several processes may use. Waiting for another process does not block the thread: an attempt that
 * finds the file locked is made again a little later.
 */
export class Database {
  readonly path: string;
  /** Writing fails with the error EROFS. */
  readonly readOnly: boolean;
  readonly #session: Session;
  readonly #reserve: Reserve;
  readonly #queue: WriteQueue;
  #connection: DatabaseSync | undefined;

  constructor(path: string, connection: DatabaseSync, options: DatabaseOptions) {
    this.path = path;
    this.readOnly = options.readOnly;
    this.#connection = connection;
    this.#session = sessionOf(connection);
    this.#reserve = new Reserve(path);
    this.#queue = new WriteQueue({
      session: this.#session,
      durability: options.durability,
      patienceMs,
      mustBeOpen: () => this.mustBeOpen(),
      failure: (error) => translate(error, path),
      lockedError: (cause) => this.#locked(cause),
    });
  }

  /** Reads one consistent state. */
  read<T>(section: (session: Session) => T, signal?: AbortSignal): Promise<T> {
    return this.#attempt(() => this.#reading(section), signal);
  }

  /** Changes all or nothing; durable when it resolves. The section may run more than once, only the last time counts. */
  write<T>(section: (session: Session) => T, signal?: AbortSignal): Promise<T> {
    return this.#queue.add(section, { durable: true, signal });
  }

  /** As `write`, for what may be lost in a power cut: it is on disk with the next `write`. */
  note<T>(section: (session: Session) => T, signal?: AbortSignal): Promise<T> {
    return this.#queue.add(section, { durable: false, signal });
  }

  /**
   * As `write`, for changes that make room: on a full disk they get space that is held back for them, so that a full store
   * can be emptied (F01).
   */
  async free<T>(section: (session: Session) => T, signal?: AbortSignal): Promise<T> {
    try {
      return await this.write(section, signal);
    } catch (error) {
      if (!isNoSpace(error) || !(await this.#reserve.release())) throw error;
    }
    try {
      return await this.write(section, signal);
    } finally {
      await this.#reserve.hold();
    }
  }

  /** As `free`, for what may be lost in a power cut. */
  async freeSoon<T>(section: (session: Session) => T, signal?: AbortSignal): Promise<T> {
    try {
      return await this.note(section, signal);
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      return this.free(section, signal);
    }
  }

  /** Has all that was changed without being synced on disk when it resolves. */
  async settle(): Promise<void> {
    // A transaction that writes nothing syncs nothing.
    await this.free((session) => {
      const version = Number(session.get("PRAGMA user_version")?.["user_version"]);
      session.get(`PRAGMA user_version = ${version}`);
    });
  }

  /** What SQLite finds wrong with the file, one sentence each; nothing if it is whole. Reads all of it. */
  problems(signal?: AbortSignal): Promise<readonly string[]> {
    return this.read((session) => {
      const rows = session.all("PRAGMA integrity_check(100)");
      return rows.map((row) => String(row["integrity_check"])).filter((text) => text !== "ok");
    }, signal);
  }

  /** Runs a statement that is no part of a transaction. */
  execute(sql: string): Promise<void> {
    return this.#attempt(() => this.mustBeOpen().exec(sql), undefined);
  }

  /** @throws ERR_FAILED_PRECONDITION it is closed (C-MD.13) */
  mustBeOpen(): DatabaseSync {
    if (this.#connection !== undefined) return this.#connection;
    throw new CodedError("ERR_FAILED_PRECONDITION", `metadata ${this.path}: closed`);
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  async #attempt<T>(call: () => T, signal: AbortSignal | undefined): Promise<T> {
    const deadline = performance.now() + patienceMs;
    for (let bound = 2; ; bound = Math.min(bound * 2, 64)) {
      signal?.throwIfAborted();
      try {
        return call();
      } catch (error) {
        if (!isBusy(error)) throw translate(error, this.path);
        if (performance.now() > deadline) throw this.#locked(error);
      }
      await sleep(1 + Math.random() * bound);
    }
  }

  #reading<T>(section: (session: Session) => T): T {
    const connection = this.mustBeOpen();
    this.#session.run("BEGIN");
    try {
      return section(this.#session);
    } finally {
      if (connection.isTransaction) this.#session.run("COMMIT");
    }
  }

  #locked(cause: unknown): CodedError {
    return new CodedError("ERR_UNAVAILABLE", `metadata ${this.path}: locked by another process for 10 s`, { cause });
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
