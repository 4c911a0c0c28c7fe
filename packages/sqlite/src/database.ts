import type { SQLInputValue, SQLOutputValue } from "node:sqlite";

export type Row = Readonly<Record<string, SQLOutputValue>>;

/**
 * Statements within one section of `read`, `write` and the like; not to be used after it. Each is compiled once. What one
 * throws has to end the section: SQLite may have ended the transaction with it, and what follows would be kept by itself.
 *
 * Values take the places of `?`, in order; Node 22 knows none by number (`?1`).
 */
export interface Session {
  all(sql: string, ...values: readonly SQLInputValue[]): readonly Row[];
  get(sql: string, ...values: readonly SQLInputValue[]): Row | undefined;
  /** Says how many rows were changed. */
  run(sql: string, ...values: readonly SQLInputValue[]): number;
}

export interface WriteSession extends Session {
  /**
   * Has `call` take back what the section has just done outside of the database, if its changes are not kept: because the
   * section fails, or the commit. The last is called first, and all of them while nobody else can write. What `call` throws
   * is lost.
   *
   * It is not called when the process is killed, nor when others write after SQLite itself has ended the transaction.
   * So what is done outside has to be of a kind that a later cleanup can tell, by its missing record.
   */
  undo(call: () => void): void;
}

/**
 * One SQLite file that several processes may use. Waiting for another process does not block the thread.
 *
 * A section is synchronous. It may run more than once, only the last time counts. Every call ends with the reason of its
 * signal if that is aborted while it waits; then nothing is done.
 */
export interface Database extends Disposable {
  readonly path: string;
  /** Writing fails with the error of the system that says why, `EROFS` as a rule, until it can be done. */
  readonly readOnly: boolean;
  /** Reads one consistent state. */
  read<T>(section: (session: Session) => T, signal?: AbortSignal): Promise<T>;
  /**
   * Changes all or nothing; on disk when it resolves. Writes that wait at the same time share one transaction, in the order
   * they were asked for, and each sees what those before it have changed. What one of them fails with undoes only its own part.
   */
  write<T>(section: (session: WriteSession) => T, signal?: AbortSignal): Promise<T>;
  /**
   * As `write`, in a transaction of its own: what the section reads is on disk, apart from its own changes. For one that does
   * something outside that must be right even if the process is killed before the commit.
   */
  writeAlone<T>(section: (session: WriteSession) => T, signal?: AbortSignal): Promise<T>;
  /** As `write`, for what may be lost in a power cut: it is on disk with the next `write` that changes something. */
  note<T>(section: (session: WriteSession) => T, signal?: AbortSignal): Promise<T>;
  /**
   * As `write`, but this thread does not wait for the disk: others may see the change before it is on disk. If the disk fails then,
   * that is told, and what was changed stays, maybe until the next power cut only.
   */
  record<T>(section: (session: WriteSession) => T, signal?: AbortSignal): Promise<T>;
  /** As `write`, for changes that make room: on a full disk they get space that is held back for them. */
  free<T>(section: (session: WriteSession) => T, signal?: AbortSignal): Promise<T>;
  /** As `free`, for what may be lost in a power cut. */
  freeSoon<T>(section: (session: WriteSession) => T, signal?: AbortSignal): Promise<T>;
  /** Has all that was noted on disk when it resolves. */
  settle(): Promise<void>;
  /** The same, but this thread does not wait for the disk, and there is no space held back for it. */
  sync(): Promise<void>;
  /** What SQLite finds wrong with the file, one sentence each; nothing if it is whole. Reads all of it. */
  problems(signal?: AbortSignal): Promise<readonly string[]>;
  /** @throws ERR_FAILED_PRECONDITION it is closed, as every call then says */
  mustBeOpen(): void;
  /** Gives up what still waits. Closing twice is allowed. */
  close(): void;
}
