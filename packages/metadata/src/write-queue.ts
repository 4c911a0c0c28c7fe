import type { DatabaseSync } from "node:sqlite";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import type { Session } from "./database.ts";
import { isBusy } from "./sqlite-errors.ts";

/** How many writes share a transaction: it blocks this thread, and all other writers. */
const groupSize = 32;

export interface QueueHost {
  readonly session: Session;
  /** How writes that are not to be lost in a power cut are synced. */
  readonly durability: "full" | "none";
  mustBeOpen(): DatabaseSync;
  /** What is thrown to the caller for what SQLite threw. */
  failure(error: unknown): unknown;
  /** What a write is rejected with that has waited for too long for others. */
  readonly patienceMs: number;
  lockedError(cause: unknown): unknown;
}

export interface WriteOptions {
  /** On disk when it resolves. Otherwise with the next one that is. */
  readonly durable: boolean;
  readonly signal: AbortSignal | undefined;
}

interface Entry extends WriteOptions {
  readonly deadline: number;
  readonly run: (session: Session) => void;
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
  #isDurable: boolean | undefined;

  constructor(host: QueueHost) {
    this.#host = host;
  }

  add<T>(section: (session: Session) => T, options: WriteOptions): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let result: { readonly value: T } | undefined;
      const run = (session: Session): void => {
        result = { value: section(session) };
      };
      const deadline = performance.now() + this.#host.patienceMs;
      this.#waiting.push({ ...options, deadline, run, resolve: () => result && resolve(result.value), reject });
      if (!this.#isDraining) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#isDraining = true;
    for (let bound = 2; this.#waiting.length > 0;) {
      await setImmediate();
      this.#waiting = this.#waiting.filter((entry) => !this.#isGivenUp(entry));
      const group = this.#waiting.slice(0, groupSize);
      const blocked = this.#commit(group);
      if (blocked === undefined) {
        bound = 2;
        continue;
      }
      const now = performance.now();
      for (const entry of this.#waiting) if (now > entry.deadline) entry.reject(this.#host.lockedError(blocked));
      this.#waiting = this.#waiting.filter((entry) => now <= entry.deadline);
      await sleep(1 + Math.random() * bound);
      bound = Math.min(bound * 2, 64);
    }
    this.#isDraining = false;
  }

  #isGivenUp({ signal, reject }: Entry): boolean {
    if (signal?.aborted !== true) return false;
    reject(signal.reason);
    return true;
  }

  /** Takes the writes that are done, or have failed, off the queue. Says what is in the way of the others. */
  #commit(group: readonly Entry[]): unknown {
    try {
      this.#transaction(group);
      return undefined;
    } catch (error) {
      if (isBusy(error)) return error;
      const [only] = group;
      if (group.length === 1 && only !== undefined) {
        this.#done([only]);
        only.reject(this.#host.failure(error));
        return undefined;
      }
    }
    // None of them is done. Whose fault it is shows when each is made alone.
    for (const entry of group) {
      const blocked = this.#commit([entry]);
      if (blocked !== undefined) return blocked;
    }
    return undefined;
  }

  #transaction(group: readonly Entry[]): void {
    if (group.length === 0) return;
    const { session } = this.#host;
    const connection = this.#host.mustBeOpen();
    this.#sync(group.some(({ durable }) => durable));
    const failures = new Map<Entry, unknown>();
    session.run("BEGIN IMMEDIATE");
    try {
      for (const entry of group) {
        if (group.length === 1) entry.run(session);
        else this.#within(connection, entry, failures);
      }
      session.run("COMMIT");
    } catch (error) {
      // Some failures, a full disk among them, have ended the transaction already.
      if (connection.isTransaction) session.run("ROLLBACK");
      throw error;
    }
    this.#done(group);
    for (const entry of group) {
      if (failures.has(entry)) entry.reject(this.#host.failure(failures.get(entry)));
      else entry.resolve();
    }
  }

  /** One write of several: what it fails with undoes only its own part. */
  #within(connection: DatabaseSync, entry: Entry, failures: Map<Entry, unknown>): void {
    const { session } = this.#host;
    session.run("SAVEPOINT one");
    try {
      entry.run(session);
    } catch (error) {
      if (!connection.isTransaction) throw error;
      session.run("ROLLBACK TO one");
      failures.set(entry, error);
    }
    session.run("RELEASE one");
  }

  #done(entries: readonly Entry[]): void {
    const done = new Set(entries);
    this.#waiting = this.#waiting.filter((entry) => !done.has(entry));
  }

  // https://www.sqlite.org/pragma.html#pragma_synchronous: with a log, NORMAL syncs at checkpoints only.
  #sync(durable: boolean): void {
    if (durable === this.#isDurable) return;
    const mode = durable ? "FULL" : "NORMAL";
    this.#host.mustBeOpen().exec(`PRAGMA synchronous = ${this.#host.durability === "none" ? "OFF" : mode}`);
    this.#isDurable = durable;
  }
}
