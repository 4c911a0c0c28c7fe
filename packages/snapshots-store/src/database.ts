import { CodedError } from "@varve/errors";
import { openDatabase as openSqlite } from "@varve/sqlite";
import type { Row, Session, Database as SqliteDatabase, WriteSession } from "@varve/sqlite";
import { mustHaveNoSnapshots, mustNotBeLost } from "./lost-record.ts";
import { migrations } from "./schema.ts";

export type { Row } from "@varve/sqlite";

// A holder needs milliseconds; one that takes this long was stopped, or its disk hangs.
const patienceMs = 60_000;

type Value = Parameters<Session["all"]>[1];

export interface RecordOptions {
  readonly durability?: "full" | "none" | undefined;
}

/**
 * The record of a store. Sections are synchronous, so one runs at a time, and what it calls asks the database itself. A
 * section may run more than once, only the last time counts.
 */
export class Database {
  readonly #sqlite: SqliteDatabase;
  #session: Session | undefined;
  #writing: WriteSession | undefined;

  constructor(sqlite: SqliteDatabase) {
    this.#sqlite = sqlite;
  }

  /** All rows of a query. Only inside a section. */
  all(sql: string, ...values: readonly Value[]): readonly Row[] {
    return this.#inside(this.#session).all(sql, ...values);
  }

  /** The first row of a query. Only inside a section. */
  first(sql: string, ...values: readonly Value[]): Row | undefined {
    return this.#inside(this.#session).get(sql, ...values);
  }

  /** Has `call` take back what a writing section has just done to the files, if its changes are not kept. */
  undo(call: () => void): void {
    this.#inside(this.#writing).undo(call);
  }

  /** A view of one moment. */
  read<T>(section: () => T, signal?: AbortSignal): Promise<T> {
    return this.#sqlite.read((session) => this.#run(session, undefined, section), signal);
  }

  /** Runs `section` while no other process writes. All of it is kept, or nothing; it may share its transaction with others. */
  write<T>(section: () => T, signal?: AbortSignal): Promise<T> {
    return this.#sqlite.write((session) => this.#run(session, session, section), signal);
  }

  /** As `write`, in a transaction of its own: what others have not committed is not there. */
  writeAlone<T>(section: () => T, signal?: AbortSignal): Promise<T> {
    return this.#sqlite.writeAlone((session) => this.#run(session, session, section), signal);
  }

  /** As `write`, for what may be lost in a power cut: it is on disk with the next `write`. */
  note<T>(section: () => T, signal?: AbortSignal): Promise<T> {
    return this.#sqlite.note((session) => this.#run(session, session, section), signal);
  }

  /** As `write`, for what makes room: on a full disk it gets space that is held back for it (F01). */
  free<T>(section: () => T, signal?: AbortSignal): Promise<T> {
    return this.#sqlite.free((session) => this.#run(session, session, section), signal);
  }

  close(): void {
    this.#sqlite.close();
  }

  #run<T>(session: Session, writing: WriteSession | undefined, section: () => T): T {
    this.#session = session;
    this.#writing = writing;
    try {
      return section();
    } finally {
      this.#session = undefined;
      this.#writing = undefined;
    }
  }

  #inside<T>(session: T | undefined): T {
    if (session !== undefined) return session;
    throw new CodedError("ERR_INTERNAL", `snapshot store ${this.#sqlite.path}: used outside a section`);
  }
}

/**
 * Opens the record, and makes it if there is none. What may not be written is opened for reading.
 *
 * @throws ERR_NOT_IMPLEMENTED a newer program has written it
 * @throws ERR_DATA_LOSS it is damaged, or lost while its snapshots are there
 */
export async function openDatabase(path: string, { durability }: RecordOptions = {}): Promise<Database> {
  const lost = { connecting: mustNotBeLost, making: mustHaveNoSnapshots };
  return new Database(
    await openSqlite({
      path,
      subject: "snapshot store",
      migrations,
      durability,
      patienceMs,
      mustNotBeLost: (when) => lost[when](path),
    }),
  );
}
