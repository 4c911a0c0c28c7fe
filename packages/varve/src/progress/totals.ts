import { formatBytes, formatDuration } from "../format.ts";
import type { PullState } from "./pull-state.ts";
import { Rate } from "./rate.ts";
import { formatRate } from "./row-text.ts";

/** The sums of all rows, with rates. */
export class Totals {
  readonly #state: PullState;
  readonly #moveRate: Rate;
  readonly #applyRate: Rate;

  /** Rates are over the last `windowMs`. */
  constructor(state: PullState, windowMs?: number) {
    this.#state = state;
    this.#moveRate = new Rate(windowMs);
    this.#applyRate = new Rate(windowMs);
    for (const rate of [this.#moveRate, this.#applyRate]) rate.at(state.startedAt, 0);
  }

  /**
   * `12.3 MB unpacked (8.10 MB/s) / 20.1 MB fetched (9.20 MB/s) / 63.3 MB`, all in bytes of the blobs; of a fetch or a push,
   * what is known of the last so far. `left`: with an estimate of the time.
   */
  text(now: number, left: boolean): string {
    const { name, rows, rowsOf, moved, applied } = this.#state;
    if (rows.length === 0) return name === "" ? "resolving" : "reading manifests";
    const sum = (pick: "applied" | "moved" | "size"): number => rows.reduce((total, row) => total + row[pick], 0);
    const [allMoved, allApplied, size] = [sum("moved"), sum("applied"), sum("size")];
    const [moveRate, applyRate] = [this.#moveRate.at(now, moved), this.#applyRate.at(now, applied)];
    const unpacked = rowsOf === "layers" ? `${count(allApplied, "unpacked", applyRate)} / ` : "";
    const text = `${unpacked}${count(allMoved, rowsOf === "sent blobs" ? "sent" : "fetched", moveRate)} / ${formatBytes(size)}`;
    // Of a fetch or a push more may come.
    if (!left || rowsOf !== "layers") return text;
    const seconds = Math.max(until(size - allMoved, moveRate), until(size - allApplied, applyRate));
    return seconds > 0 && Number.isFinite(seconds) ? `${text}, about ${roughly(seconds)} left` : text;
  }
}

function count(bytes: number, done: string, rate: number): string {
  return `${formatBytes(bytes)} ${done}${rate > 0 ? ` (${formatRate(rate)})` : ""}`;
}

function roughly(seconds: number): string {
  return seconds < 60 ? `${Math.ceil(seconds)} s` : formatDuration(seconds * 1000);
}

function until(bytes: number, rate: number): number {
  return bytes <= 0 ? 0 : bytes / rate;
}
