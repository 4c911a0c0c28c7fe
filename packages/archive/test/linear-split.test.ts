import { expect, test } from "vitest";
import { split } from "./split-archive.ts";
import { entry, file } from "./tar-builder.ts";

const factor = 8;
/** Quadratic cost is 64 times as much. What lies between is for the noise of a busy machine. */
const mostRatio = 20;

/** Files that take turns in two directories, `depth` names deep. */
function layer(depth: number): Buffer {
  const below = "d/".repeat(depth);
  const entries = Array.from({ length: 60 }, (_, at) => entry(file(`${at % 2}/${below}f${at}`, "x")));
  return Buffer.concat([...entries, Buffer.alloc(1024)]);
}

/** Time of the processor, in microseconds. */
function cost(depth: number): number {
  const bytes = layer(depth);
  const before = process.cpuUsage();
  expect(split(bytes)).toMatchObject({ entries: 60, replaced: 0 });
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

test("the records of paths with eight times as many names cost about eight times as much", { timeout: 120_000 }, () => {
  let [few, many] = [Infinity, Infinity];
  for (let attempt = 0; attempt < 6 && !(many / few <= mostRatio); attempt += 1) {
    few = Math.min(few, cost(3500));
    many = Math.min(many, cost(3500 * factor));
  }
  expect(many / few).toBeLessThanOrEqual(mostRatio);
});
