import { CodedError } from "@varve/errors";
import { Alarm } from "./alarm.ts";
import type { CollectReport } from "./report.ts";

/** The shortest time that a run is taken to need, so that runs of next to nothing do not follow on each other's heels. */
const shortestRunMs = 5;
/** How often the next expiry is asked for: others may have changed it. */
const expiryPollMs = 60_000;
/** The same after a change. */
const expiryDelayMs = 5000;
const firstIntervalMs = 1000;

/** Takes what went wrong in the background. `console` is one. */
export interface CollectLogger {
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export interface CollectScheduleOptions {
  /** Does one run. */
  readonly collect: (options: { readonly signal: AbortSignal }) => Promise<CollectReport>;
  /**
   * When a run is due although nothing changes, because a lease or an image expires after the time that is given (G-45).
   * Default: only changes bring runs about. `nextExpiry` of this package tells it of a whole store.
   */
  readonly nextExpiry?: ((after: Date) => Promise<Date | undefined>) | undefined;
  /** What part of the time runs may take, on the average: at most 0.5. Default: 0.02; 0 is a run a second. */
  readonly pauseThreshold?: number | undefined;
  /** So many deletions bring a run about at once. Default: 0, a deletion waits until a run is allowed. */
  readonly deletionThreshold?: number | undefined;
  /** So many changes bring a run about, when one is allowed. Default: 100; 0 is never. */
  readonly mutationThreshold?: number | undefined;
  /** How long what brings a run about at once waits for more of its kind. Default: 0. */
  readonly scheduleDelayMs?: number | undefined;
  /** When the first run is made, whatever has happened. Default: 100; 0 is never. */
  readonly startupDelayMs?: number | undefined;
  readonly logger?: CollectLogger | undefined;
}

/** Runs the collector when it is worth it (U-GC.6). It does not keep the process alive. */
export interface CollectScheduler extends AsyncDisposable {
  /** Something was added or changed. */
  mutated(): void;
  /** Something was deleted, so that there may be something to collect. */
  deleted(): void;
  /** Has a run begin now, or as soon as the one at work has ended, and tells what it did. */
  trigger(): Promise<CollectReport>;
  /** Ends the run at work, and makes no more. Closing twice is allowed. */
  close(): Promise<void>;
}

/** Makes a scheduler; its first run is made after the delay. */
export function createCollectScheduler(options: CollectScheduleOptions): CollectScheduler {
  return new Scheduler(options);
}

interface Waiter {
  readonly resolve: (report: CollectReport) => void;
  readonly reject: (error: unknown) => void;
}

class Scheduler implements CollectScheduler {
  readonly #options: CollectScheduleOptions;
  readonly #nextRun: Alarm = new Alarm(() => this.#start());
  readonly #nextLook: Alarm = new Alarm(() => this.#look());
  readonly #abort: AbortController = new AbortController();
  #waiting: Waiter[] = [];
  #deletions = 0;
  #mutations = 0;
  /** A run is due whatever the counts say. */
  #due = false;
  /** Before that no run is made for the sake of changes alone. */
  #allowedAt: number;
  #interval: number = firstIntervalMs;
  /** When the last run that did not fail was begun: what had expired by then is done with. */
  #ranAt: Date = new Date(0);
  #runs = 0;
  #runsMs = 0;
  #running: Promise<void> | undefined;
  #looking: Promise<void> | undefined;

  constructor(options: CollectScheduleOptions) {
    this.#options = options;
    const { startupDelayMs = 100 } = options;
    this.#allowedAt = performance.now() + startupDelayMs;
    if (startupDelayMs > 0) {
      this.#due = true;
      this.#nextRun.set(startupDelayMs);
    }
    this.#look();
  }

  mutated(): void {
    this.#mutations += 1;
    this.#plan();
    if (this.#options.nextExpiry !== undefined && !this.#abort.signal.aborted) this.#nextLook.set(expiryDelayMs);
  }

  deleted(): void {
    this.#deletions += 1;
    this.mutated();
  }

  trigger(): Promise<CollectReport> {
    if (this.#abort.signal.aborted) return Promise.reject(closed());
    const { promise, resolve, reject } = Promise.withResolvers<CollectReport>();
    this.#waiting.push({ resolve, reject });
    this.#plan();
    return promise;
  }

  async close(): Promise<void> {
    this.#abort.abort(closed());
    this.#nextRun.clear();
    this.#nextLook.clear();
    for (const { reject } of this.#waiting.splice(0)) reject(closed());
    await Promise.allSettled([this.#running, this.#looking]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Sets the time of the next run by what has happened since the last; never later than it is set already. */
  #plan(): void {
    if (this.#abort.signal.aborted || this.#running !== undefined) return;
    const { deletionThreshold = 0, mutationThreshold = 100, scheduleDelayMs = 0 } = this.#options;
    const isUrgent = this.#waiting.length > 0 || (deletionThreshold > 0 && this.#deletions >= deletionThreshold);
    if (isUrgent) return this.#nextRun.set(scheduleDelayMs);
    const isWorthIt = this.#deletions > 0 || (mutationThreshold > 0 && this.#mutations >= mutationThreshold);
    if (isWorthIt || this.#due) this.#nextRun.set(Math.max(scheduleDelayMs, this.#allowedAt - performance.now()));
  }

  #start(): void {
    if (this.#running !== undefined || this.#abort.signal.aborted) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      // What has happened during the run may have come too late for it.
      this.#plan();
      this.#look();
    });
  }

  async #run(): Promise<void> {
    const waiting = this.#waiting.splice(0);
    const [deletions, mutations] = [this.#deletions, this.#mutations];
    this.#deletions = 0;
    this.#mutations = 0;
    this.#due = false;
    const start = new Date();
    try {
      const report = await this.#options.collect({ signal: this.#abort.signal });
      this.#ranAt = start;
      this.#rest(report.durationMs);
      for (const { resolve } of waiting) resolve(report);
      const { failed } = report;
      if (failed.length > 0) this.#options.logger?.warn("some things could not be collected", { failed });
    } catch (error) {
      this.#deletions += deletions;
      this.#mutations += mutations;
      this.#due = true;
      this.#allowedAt = performance.now() + (this.#runs === 0 ? this.#delay() : this.#interval + firstIntervalMs);
      for (const { reject } of waiting) reject(error);
      if (!this.#abort.signal.aborted) this.#options.logger?.warn("the collection failed", { error });
    }
  }

  /** A first run that fails at once must not be made again without any pause. */
  #delay(): number {
    return Math.max(this.#options.scheduleDelayMs ?? 0, firstIntervalMs);
  }

  #rest(durationMs: number): void {
    const threshold = Math.min(Math.max(this.#options.pauseThreshold ?? 0.02, 0), 0.5);
    this.#runs += 1;
    this.#runsMs += durationMs;
    const average = Math.max(this.#runsMs / this.#runs, shortestRunMs);
    if (threshold > 0) this.#interval = average / threshold - average;
    this.#allowedAt = performance.now() + this.#interval;
  }

  /** Asks for the next expiry. */
  #look(): void {
    const { nextExpiry, logger } = this.#options;
    if (nextExpiry === undefined || this.#looking !== undefined || this.#abort.signal.aborted) return;
    const look = async (): Promise<void> => {
      try {
        const expiry = await nextExpiry(this.#ranAt);
        if (this.#abort.signal.aborted) return;
        const wait = expiry === undefined ? Infinity : expiry.getTime() - Date.now();
        if (wait <= 0) {
          this.#due = true;
          this.#plan();
        }
        this.#nextLook.set(wait <= 0 ? expiryPollMs : Math.min(wait + 1, expiryPollMs));
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        logger?.warn("the next expiry could not be told", { error });
        this.#nextLook.set(expiryPollMs);
      }
    };
    this.#looking = look().finally(() => {
      this.#looking = undefined;
    });
  }
}

function closed(): CodedError {
  return new CodedError("ERR_ABORTED", "collect scheduler: closed");
}
