import { parentPort } from "node:worker_threads";
import { copyTree } from "./copy-tree.ts";
import type { CopyReply, CopyJob } from "./copy-thread.ts";
import { packError } from "./packed-error.ts";

parentPort?.on("message", ({ request, stop }: CopyJob) => {
  parentPort?.postMessage(run(request, new Int32Array(stop)));
});

function run(request: CopyJob["request"], stop: Int32Array): CopyReply {
  try {
    copyTree(request, () => {
      if (Atomics.load(stop, 0) !== 0) throw new Error("stopped");
    });
    return { error: undefined };
  } catch (error) {
    return { error: packError(error) };
  }
}
