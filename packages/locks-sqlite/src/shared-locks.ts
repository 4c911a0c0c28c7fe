import { resolve } from "node:path";
import { CodedError } from "@varve/errors";
import { backoffDelays, createKeyedLock, sleep } from "@varve/locks";
import type { KeyedLock, Release, WaitOptions } from "@varve/locks";
import { LifeWatch } from "./life-watch.ts";
import { openLockDatabase } from "./lock-database.ts";
import { LockTable } from "./lock-table.ts";
import { rowKey } from "./row-key.ts";

export interface SharedLocksOptions {
  /** For how long a holder that lives may give no sign of life until its keys can be taken over. Default: 30 000. */
  readonly stallMs?: number | undefined;
}

/**
 * One lock for each key, over all processes that open the same file. Those of one process wait in the order of their calls;
 * who of several processes is next is chance.
 *
 * A key is free at once when its holder's process ends, however that ends. A process that lives and is stopped, or whose
 * event loop is, loses its keys to who has waited for `stallMs`, and is not told when it goes on. So a lock saves work that
 * would be done twice, and keeps nobody from doing it: what is done under it must end in a step that only one of two can
 * win, as the commit of a snapshot, where the loser finds that it is there. The same holds while a damaged file is replaced.
 *
 * To give back a key is tried until it is done, on a full disk with space that is held back for it; the next of the same
 * process does not wait for that.
 */
export interface SharedLocks extends KeyedLock, AsyncDisposable {
  /**
   * Gives back all keys, and rejects who still waits with ERR_ABORTED. Closing twice is allowed. Rejects if the file cannot
   * be written; then the keys are free when this process ends, or has given no sign of life for long enough.
   */
  close(): Promise<void>;
}

/**
 * Opens the file, and makes it and its directory if they are missing. A damaged one is put aside, as `<path>-damaged`, and
 * replaced. Nothing is ever synced: what the file says is void after a power cut.
 *
 * @throws ERR_INVALID_ARGUMENT `stallMs` is not above 0
 * @throws ERR_INVALID_DATA it is a database of another program
 * @throws ERR_NOT_IMPLEMENTED a newer version has made it
 * @throws the error of the system, EROFS or EACCES say, if it cannot be written
 */
export async function openSharedLocks(path: string, options: SharedLocksOptions = {}): Promise<SharedLocks> {
  const { stallMs = 30_000 } = options;
  if (!(stallMs > 0)) throw new CodedError("ERR_INVALID_ARGUMENT", `locks ${path}: stallMs ${stallMs}: not above 0`);
  const file = resolve(path);
  const database = await openLockDatabase(file);
  const table = new LockTable(database, new LifeWatch(stallMs));
  try {
    await table.sweep();
  } catch (error) {
    database.close();
    throw error;
  }
  return new SqliteLocks(file, table, stallMs);
}

class SqliteLocks implements SharedLocks {
  readonly #path: string;
  readonly #table: LockTable;
  /** In front of the table, so that a key has one task of this process that looks at it again and again. */
  readonly #queue = createKeyedLock();
  readonly #held: Map<number, Release> = new Map();
  /** Keys by token that have still to be given back. */
  readonly #left: Map<number, string> = new Map();
  readonly #closing = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #dropping: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(path: string, table: LockTable, stallMs: number) {
    this.#path = path;
    this.#table = table;
    this.#timer = setInterval(() => void this.#beat(), Math.min(Math.max(1, Math.floor(stallMs / 6)), 5000));
    this.#timer.unref();
  }

  async acquire(key: string, options: WaitOptions = {}): Promise<Release> {
    if (this.#closed !== undefined) throw new CodedError("ERR_FAILED_PRECONDITION", `locks ${this.#path}: closed`);
    const { signal } = options;
    let onWait = options.onWait;
    const tellOnce = (): void => {
      const tell = onWait;
      onWait = undefined;
      tell?.();
    };
    const next = await this.#queue.acquire(key, { signal, onWait: tellOnce });
    try {
      return await this.#take(rowKey(key), next, { signal, onWait: tellOnce });
    } catch (error) {
      next();
      signal?.throwIfAborted();
      this.#closing.signal.throwIfAborted();
      throw error;
    }
  }

  async run<T>(key: string, body: () => Promise<T>, options?: WaitOptions): Promise<T> {
    const release = await this.acquire(key, options);
    try {
      return await body();
    } finally {
      release();
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #take(key: string, next: Release, options: WaitOptions): Promise<Release> {
    const token = (await this.#tryTake(key, options.signal)) ?? (await this.#waitFor(key, options));
    this.#held.set(token, next);
    return () => {
      if (!this.#held.delete(token)) return;
      this.#left.set(token, key);
      void this.#drop();
      next();
    };
  }

  async #waitFor(key: string, { signal: callers, onWait }: WaitOptions): Promise<number> {
    onWait?.();
    const { signal: closing } = this.#closing;
    const signal = callers === undefined ? closing : AbortSignal.any([callers, closing]);
    for (const delay of backoffDelays({ first: 16, cap: 250 })) {
      await sleep(delay, { signal });
      if (await this.#table.isHeld(key, signal)) continue;
      const token = await this.#tryTake(key, callers);
      if (token !== undefined) return token;
    }
    throw new Error("unreachable");
  }

  async #tryTake(key: string, signal: AbortSignal | undefined): Promise<number | undefined> {
    this.#closing.signal.throwIfAborted();
    const token = await this.#table.take(key, signal);
    // What was taken meanwhile is given back by `close`.
    this.#closing.signal.throwIfAborted();
    return token;
  }

  /** Gives back what is left, until nothing is or it fails; then the next release or beat tries again. */
  #drop(): Promise<void> {
    this.#dropping ??= this.#dropLeft().finally(() => (this.#dropping = undefined));
    return this.#dropping;
  }

  async #dropLeft(): Promise<void> {
    try {
      while (this.#left.size > 0) for (const token of await this.#table.drop(this.#left)) this.#left.delete(token);
    } catch {
      // Nobody is harmed: the next of this process takes it as it is, others when this process has been silent for long.
    }
  }

  /** What could not be given back must go first: it is not to look alive. */
  async #beat(): Promise<void> {
    await this.#drop();
    if (this.#held.size === 0 || this.#left.size > 0 || this.#closed !== undefined) return;
    try {
      await this.#table.beat();
    } catch {
      // Who cannot write gives no sign of life.
    }
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort(new CodedError("ERR_ABORTED", `locks ${this.#path}: closed`));
    const waited = [...this.#held.values()];
    this.#held.clear();
    // Those who waited here get their turn, and are told.
    for (const next of waited) next();
    try {
      await this.#table.close();
    } finally {
      await this.#dropping;
    }
  }
}
