import { median, range } from "../table.ts";
import type { Filesystem } from "../store.ts";
import type { Result } from "./result.ts";

/** One row of a table: a task, measured in every round. */
export interface Line {
  readonly name: string;
  readonly task: string;
  readonly size: number;
  /** Tasks that make what this one needs, in processes of their own. */
  readonly before?: readonly string[] | undefined;
  /** The line that this one is held against, in the same round. */
  readonly base?: string | undefined;
  /** Works on what the line before has left. Default: false. */
  readonly continues?: boolean | undefined;
}

export interface Column {
  readonly head: string;
  readonly cell: (runs: readonly Result[], base: readonly Result[] | undefined) => string;
}

/** One table. */
export interface Section {
  readonly title: string;
  /** What the files are on. Default: `ext4`. */
  readonly filesystem?: Filesystem | undefined;
  readonly columns: readonly Column[];
  readonly lines: readonly Line[];
}

export const seconds: Column = { head: "s", cell: (runs) => range(runs.map((run) => run.seconds)) };
export const cpu: Column = { head: "CPU s", cell: (runs) => median(runs.map((run) => run.cpuSeconds)).toFixed(2) };
export const peak: Column = {
  head: "peak MB",
  cell: (runs) => Math.max(...runs.map((run) => run.peakMegabytes)).toFixed(0),
};
export const blocked: Column = {
  head: "longest block ms",
  cell: (runs) =>
    `${median(runs.map((run) => run.blockedMs)).toFixed(0)} (${Math.max(...runs.map((run) => run.blockedMs)).toFixed(0)} at most)`,
};

/** Of two lines in the same round. */
export function ratio(head: string, of: (run: Result, base: Result) => number): Column {
  return {
    head,
    cell: (runs, base) => {
      const ratios = runs.flatMap((run, round) => (base?.[round] === undefined ? [] : [of(run, base[round])]));
      return ratios.length === 0 ? "" : range(ratios);
    },
  };
}

/** Per second. */
export const rate = (run: Result): number => run.count / run.seconds;
