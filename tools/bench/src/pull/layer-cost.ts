import type { Cost } from "../measure.ts";
import { formatTable, median, range } from "../table.ts";
import type { Contender } from "./contender.ts";
import type { PullBench } from "./pull-bench.ts";
import { rounds } from "./rounds.ts";
import { warmUp } from "./warm-up.ts";

const few = 100;
const many = 500;

/** A table of what one more layer costs, where there are few and where there are many: the ratio should be 1. */
export async function formatLayerCost(bench: PullBench, contenders: readonly Contender[]): Promise<string> {
  const able = contenders.filter(({ forms }) => forms?.includes("gzip") !== false);
  const references = [await warmUp(bench, `layers-${few}`, "gzip"), await warmUp(bench, `layers-${many}`, "gzip")];
  const lines = able.flatMap(({ name, pull }) =>
    references.map((reference, index) => ({
      name: `${name}: ${index === 0 ? few : many} layers`,
      run: (fresh: string) => pull(reference, fresh),
    })),
  );
  const costs = await rounds(lines, bench.store, bench.runs);
  const rows = able.map(({ name }) => [
    name,
    ...cells(costs.get(`${name}: ${few} layers`), costs.get(`${name}: ${many} layers`)),
  ]);
  const head = [
    "layers of one file",
    `${few}: s`,
    `${many}: s`,
    "peak MB",
    "ms a layer, first",
    "later",
    "CPU ms, first",
    "later",
  ];
  return formatTable(head, rows);
}

type Runs = readonly (Cost | undefined)[];

function cells(fewRuns: Runs = [], manyRuns: Runs = []): string[] {
  const pairs = fewRuns.flatMap((run, round) => {
    const other = manyRuns[round];
    return run === undefined || other === undefined ? [] : [[run, other] as const];
  });
  if (pairs.length === 0) return ["failed"];
  const milliseconds = (of: (pair: (typeof pairs)[number]) => number): string =>
    (median(pairs.map(of)) * 1000).toFixed(1);
  const later = many - few;
  return [
    range(pairs.map(([run]) => run.wallSeconds)),
    range(pairs.map(([, run]) => run.wallSeconds)),
    Math.max(...pairs.map(([, run]) => run.peakMegabytes)).toFixed(0),
    milliseconds(([run]) => run.wallSeconds / few),
    milliseconds(([run, other]) => (other.wallSeconds - run.wallSeconds) / later),
    milliseconds(([run]) => run.cpuSeconds / few),
    milliseconds(([run, other]) => (other.cpuSeconds - run.cpuSeconds) / later),
  ];
}
