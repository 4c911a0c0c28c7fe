import { readFileSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { giveWay } from "@varve/locks";
import { CLONE_FS, unshare } from "@varve/syscalls";
import { copyTree, helpCopyTree } from "./copy-tree.ts";
import type { CopyOptions } from "./copy-tree.ts";
import type { CopyJob, CopyMessage } from "./copy-thread.ts";
import { packError } from "./packed-error.ts";
import { SharedWork, Stopped } from "./shared-work.ts";

giveWay();

let umask: number | undefined;

parentPort?.once("message", () => {
  umask = ownUmask();
});
parentPort?.on("message", (job: CopyJob) => tell(run(job)));

function run({ request, part, memory }: CopyJob): CopyMessage {
  const options: CopyOptions = { work: new SharedWork(memory), umask, onMuch: () => tell({ kind: "much" }) };
  try {
    if (part === "start") copyTree(request, options);
    else helpCopyTree(request, options);
    return { kind: "done" };
  } catch (error) {
    return error instanceof Stopped ? { kind: "stopped" } : { kind: "failed", error: packError(error) };
  }
}

function tell(message: CopyMessage): void {
  parentPort?.postMessage(message);
}

/** Separates the umask of this thread from that of the process, which anybody may change, and reads it. */
function ownUmask(): number | undefined {
  try {
    unshare(CLONE_FS);
    const [, octal] = /^Umask:\s*([0-7]+)$/m.exec(readFileSync("/proc/thread-self/status", "latin1")) ?? [];
    return octal === undefined ? undefined : Number.parseInt(octal, 8);
  } catch {
    // Some containers do not allow it.
    return undefined;
  }
}
