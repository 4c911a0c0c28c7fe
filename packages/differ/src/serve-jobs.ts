import { parentPort } from "node:worker_threads";
import { giveWay } from "@varve/locks";
import { packError } from "./wire.ts";

/**
 * The worker's side of `JobThread`: answers each job with what `work` returns or throws. The two sides are built together,
 * so a message is the job that `work` takes.
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- it names the messages, which arrive untyped
export function serveJobs<Job>(work: (job: Job) => unknown): void {
  giveWay();
  const answer = async (job: Job): Promise<void> => {
    try {
      parentPort?.postMessage({ ok: true, value: await work(job) });
    } catch (error) {
      parentPort?.postMessage({ ok: false, error: packError(error) });
    }
  };
  parentPort?.on("message", (job: Job) => void answer(job));
}
