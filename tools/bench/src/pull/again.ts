import { measure } from "../measure.ts";
import type { Cost } from "../measure.ts";
import { formatTable, median, range } from "../table.ts";
import { longestBlocks } from "./main-thread.ts";
import type { ImageInForm, PullBench } from "./pull-bench.ts";
import { rounds } from "./rounds.ts";
import { pullCommand } from "./varve.ts";
import { warmUp } from "./warm-up.ts";

const head = [
  "varve overlay",
  "once s",
  "again s",
  "two at once × once",
  "CPU × once",
  "longest block ms",
  "of CPU ms",
  "at its start ms",
];

/** A table of what a second pull of an image takes, later or at the same time, and of how long one blocks its main thread. */
export async function formatAgain(bench: PullBench, images: readonly ImageInForm[]): Promise<string> {
  const rows: string[][] = [];
  for (const { image, form } of images) rows.push([`${image}, ${form}`, ...(await cellsFor(bench, { image, form }))]);
  return formatTable([`${head[0]}, ${bench.runs} runs`, ...head.slice(1)], rows);
}

async function cellsFor(bench: PullBench, { image, form }: ImageInForm): Promise<string[]> {
  const { varve, store, runs } = bench;
  const reference = await warmUp(bench, image, form);
  const command = (directory: string): string[] => pullCommand(varve, { reference, store: directory });
  const pull = (directory: string): Promise<Cost> => measure(command(directory), varve.env);
  const pullTwice = (directory: string): Promise<Cost> =>
    measure(["bash", "-c", '"$@" & "$@" && wait $!', "bash", ...command(directory)], varve.env);
  const costs = await rounds(
    [
      { name: `${image}: once`, run: pull },
      { name: `${image}: again`, run: pull, continues: true },
      { name: `${image}: two at once`, run: pullTwice },
    ],
    store,
    runs,
  );
  const [once = [], again = [], twice = []] = costs.values();
  const ratios = (of: (cost: Cost) => number): string =>
    range(once.flatMap((cost, round) => (cost && twice[round] ? [of(twice[round]) / of(cost)] : [])));
  const blocks = await longestBlocks(bench, reference);
  return [
    range(once.flatMap((cost) => cost?.wallSeconds ?? [])),
    range(again.flatMap((cost) => cost?.wallSeconds ?? [])),
    ratios((cost) => cost.wallSeconds),
    ratios((cost) => cost.cpuSeconds),
    range(blocks.map(({ later }) => later)),
    range(blocks.map(({ laterCpu }) => laterCpu)),
    median(blocks.map(({ start }) => start)).toFixed(0),
  ];
}
