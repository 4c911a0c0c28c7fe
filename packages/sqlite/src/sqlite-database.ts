import { setTimeout as sleep } from "node:timers/promises";
import { CodedError } from "@varve/errors";
import type { Connection } from "./connection.ts";
import { Connector } from "./connector.ts";
import type { ConnectorSetup } from "./connector.ts";
import type { Database, Session, WriteSession } from "./database.ts";
import { isBusy, isNoSpace, isRefused, systemError, translate } from "./errors.ts";
import { LogSync } from "./log-sync.ts";
import { codeOf } from "./refusal.ts";
import { Reserve } from "./reserve.ts";
import { WriteQueue } from "./write-queue.ts";

export interface Setup extends ConnectorSetup {
  readonly patienceMs: number;
}

type Section<T> = (session: WriteSession) => T;

/** The one implementation of `Database`. */
export class SqliteDatabase implements Database {
  readonly path: string;
  readonly #setup: Setup;
  readonly #connector: Connector;
  readonly #reserve: Reserve;
  readonly #queue: WriteQueue;
  readonly #log: LogSync;
  /** The disk has failed to take the log, and nobody has brought it into the database since. */
  #isSuspect = false;

  constructor(setup: Setup) {
    this.path = setup.path;
    this.#setup = setup;
    this.#connector = new Connector(setup);
    this.#reserve = new Reserve(setup.path);
    this.#log = new LogSync(setup.path);
    this.#queue = new WriteQueue({
      patienceMs: setup.patienceMs,
      connect: () => this.#connectForWriting(),
      disconnect: () => this.#disconnect(),
      rescueLog: () => this.#connector.emptyLog(),
      failure: (error) => translate(error, setup),
      lockedError: (cause) => this.#locked(cause),
    });
  }

  get readOnly(): boolean {
    return this.#connector.refusal !== undefined;
  }

  /** Why it is for reading only. */
  get refusal(): string | undefined {
    return this.#connector.refusal;
  }

  read<T>(section: (session: Session) => T, signal?: AbortSignal): Promise<T> {
    return this.attempt((connection) => reading(connection, section), signal);
  }

  write<T>(section: Section<T>, signal?: AbortSignal): Promise<T> {
    return this.#queue.add(section, { isDurable: true, isAlone: false, signal });
  }

  writeAlone<T>(section: Section<T>, signal?: AbortSignal): Promise<T> {
    return this.#queue.add(section, { isDurable: true, isAlone: true, signal });
  }

  note<T>(section: Section<T>, signal?: AbortSignal): Promise<T> {
    return this.#queue.add(section, { isDurable: false, isAlone: false, signal });
  }

  async record<T>(section: Section<T>, signal?: AbortSignal): Promise<T> {
    if (this.#setup.durability === "full") this.#openLog();
    const result = await this.note(section, signal);
    await this.sync();
    return result;
  }

  free<T>(section: Section<T>, signal?: AbortSignal): Promise<T> {
    return this.withReserve(() => this.write(section, signal));
  }

  async freeSoon<T>(section: Section<T>, signal?: AbortSignal): Promise<T> {
    return this.withReserve(() => this.note(section, signal));
  }

  async settle(): Promise<void> {
    // A transaction that writes nothing syncs nothing.
    await this.free((session) => {
      const version = Number(session.get("PRAGMA user_version")?.["user_version"]);
      session.get(`PRAGMA user_version = ${version}`);
    });
  }

  async sync(): Promise<void> {
    if (this.#setup.durability === "none") return;
    this.mustBeOpen();
    try {
      await this.#log.sync();
    } catch (error) {
      this.mustBeOpen();
      this.#log.letGo();
      this.#isSuspect = true;
      this.#isRescued();
      throw this.#diskError(error);
    }
  }

  /**
   * What the log may have lost is whole in memory still: all is well when it is in the database, on disk. SQLite has a descriptor of
   * its own, which is told of the failure once, too.
   */
  #isRescued(): boolean {
    if (this.#isSuspect) this.#isSuspect = !(this.#connector.emptyLog() || this.#connector.emptyLog());
    return !this.#isSuspect;
  }

  #openLog(): void {
    try {
      this.#log.open();
    } catch (error) {
      throw this.#diskError(error);
    }
  }

  #diskError(cause?: unknown): unknown {
    const code = cause === undefined ? "EIO" : codeOf(cause);
    return systemError(code, `${this.#setup.subject} ${this.path}: cannot be written to the disk`, cause);
  }

  /** What is written after a loss would be lost with it: the log ends for SQLite where something is missing. */
  #connectForWriting(): Connection {
    const connection = this.#connector.connectForWriting();
    if (!this.#isRescued()) throw this.#diskError();
    return connection;
  }

  problems(signal?: AbortSignal): Promise<readonly string[]> {
    return this.read((session) => {
      const rows = session.all("PRAGMA integrity_check(100)");
      return rows.map((row) => String(row["integrity_check"])).filter((text) => text !== "ok");
    }, signal);
  }

  mustBeOpen(): void {
    this.#connector.mustBeOpen();
  }

  close(): void {
    this.#log.close();
    this.#connector.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** For what is no section: `change` may run statements that `write` does not offer. */
  change(change: (connection: Connection) => void): Promise<void> {
    return this.#queue.add(change, { isDurable: true, isAlone: true, signal: undefined });
  }

  /** Takes what the reserve lacks. */
  async hold(): Promise<void> {
    await this.#reserve.hold();
  }

  /** Runs `call`, and once more with the space of the reserve if there was none. */
  async withReserve<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (!isNoSpace(error)) throw error;
    }
    return this.#reserve.lend(call, () => this.#connector.emptyLog());
  }

  /** Makes `call` with a connection, again and again while others are in its way. It must not await anything. */
  async attempt<T>(call: (connection: Connection) => T, signal?: AbortSignal): Promise<T> {
    const deadline = performance.now() + this.#setup.patienceMs;
    let wasRefused = false;
    for (let bound = 1; ; bound = Math.min(bound * 2, 16)) {
      signal?.throwIfAborted();
      try {
        return this.#connector.use(call);
      } catch (error) {
        if (isRefused(error)) this.#disconnect();
        if (!isBusy(error) && (!isRefused(error) || wasRefused)) throw translate(error, this.#setup);
        if (performance.now() > deadline) throw this.#locked(error);
        wasRefused = isRefused(error);
      }
      await sleep(1 + Math.random() * bound);
    }
  }

  #disconnect(): void {
    this.#log.letGo();
    this.#connector.disconnect();
  }

  #locked(cause: unknown): CodedError {
    const { subject, patienceMs } = this.#setup;
    const message = `${subject} ${this.path}: locked by another process for ${patienceMs / 1000} s`;
    return new CodedError("ERR_UNAVAILABLE", message, { cause });
  }
}

function reading<T>(connection: Connection, section: (session: Session) => T): T {
  connection.run("BEGIN");
  try {
    return section(connection);
  } finally {
    if (connection.isOpen) connection.run("COMMIT");
  }
}
