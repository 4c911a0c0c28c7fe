import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import type { Row, WriteSession } from "./database.ts";
import { mustComeBackWhole } from "./whole-texts.ts";

/** More are only there if statements are made up as they come. */
const statementsKept = 256;

/**
 * Does nothing, as the files here keep no list of pages to vacuum; but as a statement that may write it fails on a connection
 * that SQLite could open for reading only. On such a one BEGIN IMMEDIATE takes no lock and says nothing.
 */
const writeProbe = "PRAGMA incremental_vacuum(1)";

/** `full`: what is on disk when a transaction ends is up to the transaction. `none`: nothing is ever synced. */
export type Durability = "full" | "none";

export interface ConnectionKind {
  /** Why it is for reading only: `EROFS`, `EACCES`. */
  readonly readOnly: string | undefined;
  /** It sees nothing of what others write, so it is good for one transaction. */
  readonly isBlind: boolean;
  readonly durability: Durability;
}

/** One connection, with one transaction at a time: nothing may be awaited between its begin and its end. */
export class Connection implements WriteSession {
  readonly readOnly: string | undefined;
  readonly isBlind: boolean;
  readonly #handle: DatabaseSync;
  readonly #durability: Durability;
  readonly #statements = new Map<string, StatementSync>();
  #undos: (() => void)[] = [];
  #versionToUndo: unknown;
  #isProven = false;
  #sync: string | undefined;

  constructor(handle: DatabaseSync, { readOnly, isBlind, durability }: ConnectionKind) {
    this.#handle = handle;
    this.#durability = durability;
    this.readOnly = readOnly;
    this.isBlind = isBlind;
  }

  /** Whether SQLite is in a transaction: some failures, a full disk among them, end it. */
  get isOpen(): boolean {
    return this.#handle.isTransaction;
  }

  all(sql: string, ...values: readonly SQLInputValue[]): readonly Row[] {
    mustComeBackWhole(values);
    return this.#prepared(sql).all(...values);
  }

  get(sql: string, ...values: readonly SQLInputValue[]): Row | undefined {
    mustComeBackWhole(values);
    return this.#prepared(sql).get(...values);
  }

  run(sql: string, ...values: readonly SQLInputValue[]): number {
    mustComeBackWhole(values);
    return Number(this.#prepared(sql).run(...values).changes);
  }

  /** Runs several statements. */
  execute(sql: string): void {
    this.#handle.exec(sql);
  }

  undo(call: () => void): void {
    if (this.#undos.length === 0) this.#versionToUndo = this.#dataVersion();
    this.#undos.push(call);
  }

  /**
   * Takes the lock for writing.
   *
   * @param isDurable whether the transaction is to be on disk when it ends, or with the next that is
   */
  begin(isDurable: boolean): void {
    // https://www.sqlite.org/pragma.html#pragma_synchronous: with a log, NORMAL syncs at checkpoints only.
    const sync = isDurable ? "FULL" : "NORMAL";
    if (this.#durability === "full" && sync !== this.#sync) this.execute(`PRAGMA synchronous = ${sync}`);
    this.#sync = sync;
    this.run("BEGIN IMMEDIATE");
    if (this.#isProven) return;
    this.all(writeProbe);
    this.#isProven = true;
  }

  commit(): void {
    this.run("COMMIT");
    this.#undos = [];
  }

  /** Ends a transaction that has failed, however far it came. */
  rollBack(): void {
    if (this.isOpen) {
      this.#undoTo(0);
      this.run("ROLLBACK");
    } else if (this.#undos.length > 0) this.#undoLate();
  }

  /**
   * Runs a part of a transaction of which all or nothing is done, and says what it failed with. Throws if it took the whole
   * transaction with it.
   */
  part(section: () => void): { readonly error: unknown } | undefined {
    const mark = this.#undos.length;
    this.run("SAVEPOINT part");
    try {
      section();
    } catch (error) {
      if (!this.isOpen) throw error;
      this.#undoTo(mark);
      this.run("ROLLBACK TO part");
      this.run("RELEASE part");
      return { error };
    }
    this.run("RELEASE part");
    return undefined;
  }

  close(): void {
    this.#handle.close();
  }

  #undoTo(mark: number): void {
    while (this.#undos.length > mark) {
      try {
        this.#undos.pop()?.();
      } catch {
        // What led here is to be told. Whatever is left is what a killed process would have left.
      }
    }
  }

  /** SQLite has given up the lock. With a new one all is as it was, if nobody has written in between. */
  #undoLate(): void {
    try {
      this.run("BEGIN IMMEDIATE");
      if (this.#dataVersion() === this.#versionToUndo) this.#undoTo(0);
    } catch {
      // Others write: what was done outside may be theirs by now.
    } finally {
      this.#undos = [];
      if (this.isOpen) this.run("ROLLBACK");
    }
  }

  /** Another number means that another connection has written. */
  #dataVersion(): unknown {
    return this.get("PRAGMA data_version")?.["data_version"];
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#handle.prepare(sql);
      if (this.#statements.size >= statementsKept) this.#statements.clear();
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}
