import { CodedError } from "@varve/errors";
import { close } from "@varve/syscalls";
import type { CopyOutcome } from "./copy-thread.ts";
import type { CopyRequest } from "./copy-tree.ts";
import { packError, unpackError } from "./packed-error.ts";
import { SharedWork } from "./shared-work.ts";
import { withThreads } from "./thread-pool.ts";
import type { ThreadPair } from "./thread-pool.ts";

export interface TreeCopyOptions {
  readonly signal?: AbortSignal | undefined;
  /** About how many files there are. If it is not known, the second thread starts when there turn out to be many. */
  readonly inodes?: number | undefined;
}

/** From so many on it is worth starting the second thread right away. */
const manyInodes = 1000;

/**
 * Copies trees in threads, one after another: two copies on one disk only slow each other down. A large tree is shared by
 * two threads, because what copying takes is mostly work of the kernel on names and inodes.
 */
export class TreeCopies {
  #last: Promise<unknown> = Promise.resolve();
  #work: SharedWork | undefined;
  #closed = false;

  /** Rejects with the signal's reason only when nothing is written any more. */
  copy(request: CopyRequest, options: TreeCopyOptions = {}): Promise<void> {
    const done = this.#last.then(() => this.#run(request, options));
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Stops what is being copied; its caller gets ERR_ABORTED. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#work?.stop();
    await this.#last;
  }

  async #run(request: CopyRequest, { signal, inodes = 0 }: TreeCopyOptions): Promise<void> {
    signal?.throwIfAborted();
    if (this.#closed) throw new CodedError("ERR_FAILED_PRECONDITION", "native snapshotter: closed");
    const work = SharedWork.create();
    const abort = (): void => work.stop();
    signal?.addEventListener("abort", abort);
    this.#work = work;
    try {
      const outcomes = await withThreads((threads) => {
        return share(request, { work, threads, atOnce: inodes >= manyInodes });
      });
      signal?.throwIfAborted();
      mustBeDone(request, outcomes);
    } finally {
      this.#work = undefined;
      signal?.removeEventListener("abort", abort);
    }
  }
}

interface Sharing {
  readonly work: SharedWork;
  readonly threads: ThreadPair;
  /** Whether both threads are to begin now. */
  readonly atOnce: boolean;
}

/** Settles when no thread works on it any more. */
async function share(request: CopyRequest, { work, threads, atOnce }: Sharing): Promise<readonly CopyOutcome[]> {
  const { memory } = work;
  const { first, second } = threads;
  const helping: Promise<CopyOutcome>[] = [];
  const help = (): void => {
    if (second !== undefined && helping.length === 0)
      helping.push(settled(second.run({ request, part: "help", memory }, nothing), work));
  };
  if (atOnce) help();
  const started = await settled(first.run({ request, part: "start", memory }, help), work);
  const outcomes = [started, ...(await Promise.all(helping))];
  const leftover = work.leftover();
  if (leftover !== undefined) for (const fd of [leftover.source, leftover.destination]) close(fd);
  return outcomes;
}

/** The outcome, also when the thread dies; then the other has to stop, which would wait for it for ever. */
function settled(running: Promise<CopyOutcome>, work: SharedWork): Promise<CopyOutcome> {
  return running.catch((error: unknown) => {
    work.stop();
    return { kind: "failed", error: packError(error) };
  });
}

function mustBeDone(request: CopyRequest, outcomes: readonly CopyOutcome[]): void {
  for (const outcome of outcomes) {
    if (outcome.kind === "failed") throw unpackError(outcome.error, `copy of ${request.source}`);
  }
  if (outcomes.every(({ kind }) => kind === "done")) return;
  throw new CodedError("ERR_ABORTED", "native snapshotter: closed while it was copying");
}

function nothing(): void {}
