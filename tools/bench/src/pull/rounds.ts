import type { Cost } from "../measure.ts";
import type { Store } from "../store.ts";

/** Something measured in every round: what it cost by round, `undefined` where it failed. */
export type Costs = ReadonlyMap<string, readonly (Cost | undefined)[]>;

/** One line of a table. */
export interface Measured {
  readonly name: string;
  /** Given a new file system, or that of the line before. */
  readonly run: (store: string) => Promise<Cost>;
  /** Works on what the line before has left. Default: false. */
  readonly continues?: boolean | undefined;
}

/** Round by round, every line once, so that what else the machine does strikes all alike. */
export async function rounds(lines: readonly Measured[], store: Store, runs: number): Promise<Costs> {
  const costs = new Map<string, (Cost | undefined)[]>(lines.map(({ name }) => [name, []]));
  let directory = "";
  for (let round = 1; round <= runs; round += 1) {
    for (const { name, run, continues = false } of lines) {
      if (!continues) directory = await store.fresh();
      const cost = await succeeded(`round ${round}: ${name}`, run(directory));
      costs.get(name)?.push(cost);
    }
  }
  return costs;
}

/** A peer that cannot pull an image is a row of the table, and not the end of the bench. */
async function succeeded(title: string, running: Promise<Cost>): Promise<Cost | undefined> {
  try {
    const cost = await running;
    const figures = `${cost.wallSeconds.toFixed(2)} s, ${cost.cpuSeconds.toFixed(2)} s CPU`;
    console.error(`${title}: ${figures}, ${cost.peakMegabytes.toFixed(0)} MB`);
    return cost;
  } catch (error) {
    console.error(`${title}: failed: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
    return undefined;
  }
}
