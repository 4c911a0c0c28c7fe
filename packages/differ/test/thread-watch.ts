import type { Worker } from "node:worker_threads";
import { afterEach, beforeEach } from "vitest";

/** The threads that were started since the test began, in their order: the differ shows them to nobody. */
export function watchThreads(): readonly Worker[] {
  const threads: Worker[] = [];
  const remember = (worker: Worker): void => void threads.push(worker);
  beforeEach(() => {
    threads.length = 0;
    process.on("worker", remember);
  });
  afterEach(() => void process.off("worker", remember));
  return threads;
}
