import type { Cost } from "./measure.ts";

/** A Markdown table: medians and ranges, and wall time as a ratio to the first contender, paired by round. */
export function formatResults(image: string, costs: ReadonlyMap<string, readonly Cost[]>): string {
  const [base = []] = costs.values();
  const rows = [...costs].map(([name, runs]) => {
    const ratios = runs.map((run, round) => run.wallSeconds / (base[round]?.wallSeconds ?? Number.NaN));
    return [
      name,
      range(runs.map((run) => run.wallSeconds)),
      range(runs.map((run) => run.cpuSeconds)),
      Math.max(...runs.map((run) => run.peakMegabytes)).toFixed(0),
      median(ratios).toFixed(2),
    ];
  });
  return formatTable([`${image}, ${base.length} runs`, "wall s", "CPU s", "peak MB", "wall ratio"], rows);
}

/** A Markdown table. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** Median, least and most. */
export function range(values: readonly number[]): string {
  return `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)})`;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = Number.NaN, high = low] =
    sorted.length % 2 === 1 ? [sorted[middle]] : sorted.slice(middle - 1, middle + 1);
  return (low + high) / 2;
}
