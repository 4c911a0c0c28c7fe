import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { measure } from "../measure.ts";
import type { PullBench } from "./pull-bench.ts";
import { pullCommand } from "./varve.ts";

/** For how many milliseconds at most the main thread was busy with one thing, until the first connection and after it. */
export interface Blocks {
  readonly start: number;
  readonly later: number;
  /** CPU time of the main thread in the longest of these. */
  readonly laterCpu: number;
}

const monitor = import.meta.resolve("./main-thread-monitor.ts");

/** Measured in pulls of their own, since to measure it costs time. */
export async function longestBlocks({ varve, store, runs }: PullBench, reference: string): Promise<Blocks[]> {
  const blocks: Blocks[] = [];
  for (let round = 1; round <= runs; round += 1) {
    const directory = await store.fresh();
    const report = join(directory, "blocks.json");
    const options = `--disable-warning=ExperimentalWarning --import=${monitor}`;
    const env = { ...varve.env, NODE_OPTIONS: options, VARVE_BENCH_BLOCKS: report };
    await measure(pullCommand(varve, { reference, store: directory }), env);
    blocks.push(JSON.parse(await readFile(report, "utf8")) as Blocks);
  }
  return blocks;
}
