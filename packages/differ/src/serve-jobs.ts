import { parentPort } from "node:worker_threads";
import { packError } from "./wire.ts";

/**
 * The worker's side of `JobWorker`: answers each job with what `work` returns or throws. The two sides are built together,
 * so a message is the job that `work` takes.
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- it names the messages, which arrive untyped
export function serveJobs<Job>(work: (job: Job) => unknown): void {
  parentPort?.on("message", (job: Job) => {
    try {
      parentPort?.postMessage({ ok: true, value: work(job) });
    } catch (error) {
      parentPort?.postMessage({ ok: false, error: packError(error) });
    }
  });
}
