import { availableParallelism } from "node:os";
import { CopyThread } from "./copy-thread.ts";

/** Threads for one copy: one that starts it, and one that helps if there is a processor for it. */
export interface ThreadPair {
  readonly first: CopyThread;
  readonly second: CopyThread | undefined;
}

// A thread takes as long to start as a small tree to copy, and some memory as long as it is there.
const idleMs = 2000;

/** Of all snapshotters of the process. */
const idle: ThreadPair[] = [];
let end: NodeJS.Timeout | undefined;

/** Runs `body` with threads that nobody else uses meanwhile. Those that are not used for two seconds end. */
export async function withThreads<T>(body: (threads: ThreadPair) => Promise<T>): Promise<T> {
  clearTimeout(end);
  const threads = idle.pop() ?? newPair();
  try {
    return await body(threads);
  } finally {
    idle.push(threads);
    clearTimeout(end);
    end = setTimeout(endIdle, idleMs).unref();
  }
}

function newPair(): ThreadPair {
  return { first: new CopyThread(), second: availableParallelism() > 1 ? new CopyThread() : undefined };
}

function endIdle(): void {
  for (const { first, second } of idle.splice(0)) {
    first.end();
    second?.end();
  }
}
