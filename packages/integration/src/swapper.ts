import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** Somebody who exchanges names all the time, until disposed. */
export interface Swapper extends AsyncDisposable {
  /** Exchanges that succeeded so far. */
  readonly swaps: number;
}

/** Starts a thread that exchanges the names of each pair again and again. A name need not be there. */
export async function startSwapper(pairs: readonly (readonly [string, string])[]): Promise<Swapper> {
  const control = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL("swap-worker.ts", import.meta.url), { workerData: { pairs, control } });
  const exited = once(worker, "exit");
  await once(worker, "online");
  return {
    get swaps() {
      return Atomics.load(control, 1);
    },
    async [Symbol.asyncDispose]() {
      Atomics.store(control, 0, 1);
      await exited;
    },
  };
}
