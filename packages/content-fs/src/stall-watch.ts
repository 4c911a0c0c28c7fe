import type { Stats } from "node:fs";
import type { IngestRecord } from "./ingest-record.ts";

/** How far the clock and the one that nobody sets may drift apart before the clock is not believed. */
const driftMs = 2000;

/** A clock that nobody sets, in milliseconds; the same in all processes of one boot. */
export function steadyClock(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

interface Sight {
  readonly mark: string;
  readonly at: number;
}

/**
 * Tells for how long the holder of a ref has brought nothing forward. Progress is the time of its data file: bytes that
 * arrive move it, and the holder moves it itself while it hashes or commits. When the clock was set since the claim, that
 * time says nothing, and only what this process saw itself counts (P08).
 */
export class StallWatch {
  readonly limitMs: number;
  readonly #seen: Map<string, Sight> = new Map();

  constructor(limitMs: number) {
    this.limitMs = limitMs;
  }

  /** @param data of the data file, if it is there */
  idleMs(key: string, record: IngestRecord, data: Stats | undefined): number {
    const now = steadyClock();
    const mark = progressMark(record, data);
    let sight = this.#seen.get(key);
    if (sight?.mark !== mark) {
      sight = { mark, at: now };
      // Bounded: what is forgotten is only waited for once more.
      if (this.#seen.size >= 1024) this.#seen.clear();
      this.#seen.set(key, sight);
    }
    const wasSeen = now - sight.at;
    // Without a data file the holder is in the last step of its commit.
    if (data === undefined) return wasSeen;
    const held = Date.now() - record.since.getTime();
    if (Math.abs(held - (now - record.clock)) > driftMs) return wasSeen;
    return Math.max(wasSeen, Date.now() - Math.max(record.since.getTime(), data.mtimeMs));
  }

  forget(key: string): void {
    this.#seen.delete(key);
  }
}

/** Changes with everything that the holder of a ref does. */
export function progressMark(record: IngestRecord, data: Stats | undefined): string {
  return `${record.token} ${data?.ino} ${data?.size} ${data?.mtimeMs}`;
}
