import { formatTable, median, range } from "../table.ts";
import type { Costs } from "./rounds.ts";

/** A Markdown table: medians and ranges, and wall time as a ratio to the first line, paired by round. */
export function formatResults(title: string, costs: Costs): string {
  const [base = []] = costs.values();
  const rows = [...costs].map(([name, runs]) => {
    const done = runs.filter((run) => run !== undefined);
    if (done.length === 0) return [name, "failed", "", "", ""];
    const ratios = runs.flatMap((run, round) =>
      run === undefined || base[round] === undefined ? [] : [run.wallSeconds / base[round].wallSeconds],
    );
    return [
      name,
      range(done.map((run) => run.wallSeconds)),
      range(done.map((run) => run.cpuSeconds)),
      Math.max(...done.map((run) => run.peakMegabytes)).toFixed(0),
      ratios.length === 0 ? "" : median(ratios).toFixed(2),
    ];
  });
  return formatTable([`${title}, ${base.length} runs`, "wall s", "CPU s", "peak MB", "wall ratio"], rows);
}
