import { existsSync } from "node:fs";
import { CodedError } from "@varve/errors";
import { connect } from "./connect.ts";
import type { Connection, Durability } from "./connection.ts";
import { systemError } from "./errors.ts";
import type { Named } from "./errors.ts";
import { writeRefusal } from "./refusal.ts";

export interface ConnectorSetup extends Named {
  readonly durability: Durability;
  /** Before the first connection, and any later one that may write. The first makes the file if it is missing. */
  readonly beforeConnect: (isFirst: boolean) => void;
}

/** Has the one connection of a database: made when it is first used, and anew after a refusal. */
export class Connector {
  readonly #setup: ConnectorSetup;
  #connection: Connection | undefined;
  #hasConnected = false;
  #refusal: string | undefined;
  #isClosed = false;

  constructor(setup: ConnectorSetup) {
    this.#setup = setup;
  }

  /** Why the last connection was for reading only. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** @throws ERR_FAILED_PRECONDITION it is closed */
  mustBeOpen(): void {
    if (!this.#isClosed) return;
    const { subject, path } = this.#setup;
    throw new CodedError("ERR_FAILED_PRECONDITION", `${subject} ${path}: closed`);
  }

  /** Makes a call that does not await anything. */
  use<T>(call: (connection: Connection) => T): T {
    const connection = this.#connected();
    try {
      return call(connection);
    } finally {
      if (connection.isBlind) this.disconnect();
    }
  }

  /** @throws the error of the system that says why nobody can write */
  connectForWriting(): Connection {
    const connection = this.#connected();
    if (connection.readOnly === undefined) return connection;
    this.disconnect();
    const again = this.#connected();
    if (again.readOnly === undefined) return again;
    if (again.isBlind) this.disconnect();
    throw systemError(again.readOnly, `${this.#setup.subject} ${this.#setup.path}`);
  }

  /** The next connection may do better. */
  disconnect(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.close();
  }

  /**
   * Brings what is in the log into the database, as far as that can be done, and says whether all of it is there, on disk. The log takes
   * no space then.
   */
  emptyLog(): boolean {
    try {
      return this.#connection?.get("PRAGMA wal_checkpoint(TRUNCATE)")?.["busy"] === 0;
    } catch {
      // Others are reading it, or the disk refuses.
      return false;
    }
  }

  close(): void {
    this.#isClosed = true;
    this.disconnect();
  }

  #connected(): Connection {
    if (this.#connection !== undefined) return this.#connection;
    this.mustBeOpen();
    const { path, durability, beforeConnect } = this.#setup;
    const isFirst = !this.#hasConnected;
    if (isFirst || !existsSync(path) || writeRefusal(path) === undefined) beforeConnect(isFirst);
    this.#connection = connect(path, durability);
    this.#hasConnected = true;
    this.#refusal = this.#connection.readOnly;
    return this.#connection;
  }
}
