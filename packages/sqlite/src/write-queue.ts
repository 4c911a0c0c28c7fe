import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "./connection.ts";
import { isBusy, isDiskFailure, isRefused } from "./errors.ts";

/** How many writes share a transaction: it blocks this thread, and all other writers. */
const groupSize = 32;

export interface QueueHost {
  readonly patienceMs: number;
  /** A connection for writing. */
  connect(): Connection;
  /** Gives up the connection: the next may do better. */
  disconnect(): void;
  /**
   * Brings what is in the log into the database, as far as that can be done. When the disk has failed to take the log, it may
   * have lost notes there that nobody has waited for, and what follows them would be lost with them.
   */
  rescueLog(): void;
  /** What is thrown to the caller for what SQLite threw. */
  failure(error: unknown): unknown;
  /** What a write is rejected with that has waited for too long for others. */
  lockedError(cause: unknown): unknown;
}

export interface WriteOptions {
  /** On disk when it resolves. Otherwise with the next one that is. */
  readonly isDurable: boolean;
  /** Not in one transaction with others. */
  readonly isAlone: boolean;
  readonly signal: AbortSignal | undefined;
}

interface Entry extends WriteOptions {
  readonly deadline: number;
  readonly run: (connection: Connection) => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Writes that are asked for at the same time share one transaction, and so one sync of the disk; of each of them all or
 * nothing is done. While another process writes they wait without blocking the thread.
 */
export class WriteQueue {
  readonly #host: QueueHost;
  #waiting: Entry[] = [];
  #isDraining = false;
  #wasRefused = false;

  constructor(host: QueueHost) {
    this.#host = host;
  }

  add<T>(section: (connection: Connection) => T, options: WriteOptions): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let result: { readonly value: T } | undefined;
      const run = (connection: Connection): void => {
        result = { value: section(connection) };
      };
      const deadline = performance.now() + this.#host.patienceMs;
      this.#waiting.push({ ...options, deadline, run, resolve: () => result && resolve(result.value), reject });
      if (!this.#isDraining) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#isDraining = true;
    for (let bound = 1; this.#waiting.length > 0;) {
      // What is asked for in the same turn comes along.
      await setImmediate();
      this.#waiting = this.#waiting.filter((entry) => !isGivenUp(entry));
      const obstacle = this.#commit(this.#nextGroup());
      if (obstacle === undefined) {
        bound = 1;
        continue;
      }
      this.#rejectLate(obstacle.error);
      await sleep(1 + Math.random() * bound);
      bound = Math.min(bound * 2, 16);
    }
    this.#isDraining = false;
  }

  #nextGroup(): readonly Entry[] {
    const end = this.#waiting.findIndex(({ isAlone }) => isAlone);
    return this.#waiting.slice(0, end === -1 ? groupSize : Math.min(Math.max(end, 1), groupSize));
  }

  /** Takes the writes that are done, or have failed, off the queue. Says what is in the way of the others. */
  #commit(group: readonly Entry[]): { readonly error: unknown } | undefined {
    if (group.length === 0) return undefined;
    try {
      this.#transaction(group);
      this.#wasRefused = false;
      return undefined;
    } catch (error) {
      if (isBusy(error)) return { error };
      // Such a connection stays as it is for its life. The next may come when there are descriptors again (F04).
      if (isRefused(error)) this.#host.disconnect();
      if (isDiskFailure(error)) this.#host.rescueLog();
      const isFirst = isRefused(error) && !this.#wasRefused;
      this.#wasRefused = isFirst;
      if (isFirst) return { error };
      if (group.length === 1 || isRefused(error) || isDiskFailure(error)) {
        const failure = this.#host.failure(error);
        this.#done(group);
        for (const { reject } of group) reject(failure);
        return undefined;
      }
    }
    // None of them is done. Whose fault it is shows when each is made alone.
    for (const entry of group) {
      const obstacle = this.#commit([entry]);
      if (obstacle !== undefined) return obstacle;
    }
    return undefined;
  }

  #transaction(group: readonly Entry[]): void {
    const connection = this.#host.connect();
    const failures = new Map<Entry, unknown>();
    try {
      connection.begin(group.some(({ isDurable }) => isDurable));
      for (const entry of group) {
        if (group.length === 1) entry.run(connection);
        else {
          const failure = connection.part(() => entry.run(connection));
          if (failure !== undefined) failures.set(entry, failure.error);
        }
      }
      connection.commit();
    } catch (error) {
      connection.rollBack();
      throw error;
    }
    this.#done(group);
    for (const entry of group) {
      if (failures.has(entry)) entry.reject(this.#host.failure(failures.get(entry)));
      else entry.resolve();
    }
  }

  #done(entries: readonly Entry[]): void {
    if (entries.length === this.#waiting.length) this.#waiting = [];
    else {
      const done = new Set(entries);
      this.#waiting = this.#waiting.filter((entry) => !done.has(entry));
    }
  }

  #rejectLate(cause: unknown): void {
    const now = performance.now();
    const late = this.#waiting.filter(({ deadline }) => now > deadline);
    if (late.length === 0) return;
    this.#done(late);
    for (const { reject } of late) reject(this.#host.lockedError(cause));
  }
}

function isGivenUp({ signal, reject }: Entry): boolean {
  if (signal?.aborted !== true) return false;
  reject(signal.reason);
  return true;
}
