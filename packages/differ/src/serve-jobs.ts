import { parentPort } from "node:worker_threads";
import { packError } from "./wire.ts";

/** The worker's side of `JobWorker`: answers each job with what `work` returns or throws. */
export function serveJobs<Job>(work: (job: Job) => unknown): void {
  parentPort?.on("message", (job: Job) => {
    try {
      parentPort?.postMessage({ ok: true, value: work(job) });
    } catch (error) {
      parentPort?.postMessage({ ok: false, error: packError(error) });
    }
  });
}
