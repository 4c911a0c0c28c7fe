import type { Applied, ApplyJob, DecodeJob, SettleJob, Settled } from "./jobs.ts";
import { BlockRing, createSharedRing, isRingCancelled } from "./block-ring.ts";
import type { SharedRing } from "./block-ring.ts";
import { JobWorker } from "./job-worker.ts";

export interface LaneRun {
  readonly source: AsyncIterable<Uint8Array>;
  readonly job: Omit<ApplyJob, "kind" | "input">;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

const slotBytes = 256 * 1024;
const slots = 8;

/**
 * Two threads and the rings between: source → decompress → hash and write. Inflating and writing overlap only because each
 * has a thread of its own.
 */
export class Lane {
  readonly #decoder: JobWorker<DecodeJob> = new JobWorker("decode-worker");
  readonly #writer: JobWorker<ApplyJob | SettleJob> = new JobWorker("apply-worker");
  readonly #compressed: SharedRing = createSharedRing(slots, slotBytes);
  readonly #plain: SharedRing = createSharedRing(slots, slotBytes);

  get isDead(): boolean {
    return this.#decoder.isDead || this.#writer.isDead;
  }

  async apply(run: LaneRun): Promise<Applied> {
    const compressed = new BlockRing(this.#compressed);
    const plain = new BlockRing(this.#plain);
    compressed.reset();
    plain.reset();
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => undefined);
    const cancel = (reason: unknown): void => {
      compressed.cancel();
      plain.cancel();
      failed.reject(reason);
    };
    const onAbort = (): void => cancel(run.signal?.reason);
    run.signal?.addEventListener("abort", onAbort, { once: true });
    try {
      run.signal?.throwIfAborted();
      const pumping = pump(run, compressed, failed.promise);
      const decoding = this.#decoder.run<undefined>({ input: this.#compressed, output: this.#plain });
      const writing = this.#writer.run<Applied>({ ...run.job, kind: "apply", input: this.#plain });
      for (const part of [pumping, decoding, writing]) part.catch(cancel);
      const results = await Promise.allSettled([pumping, decoding, writing]);
      run.signal?.throwIfAborted();
      throwFirst(results);
      return await writing;
    } finally {
      run.signal?.removeEventListener("abort", onAbort);
    }
  }

  settle(job: Omit<SettleJob, "kind">): Promise<Settled> {
    return this.#writer.run<Settled>({ ...job, kind: "settle" });
  }

  async close(): Promise<void> {
    await Promise.all([this.#decoder.close(), this.#writer.close()]);
  }
}

/** Moves the source into the ring. Once `failed` rejects it stops, even while the source has nothing to give. */
async function pump(run: LaneRun, ring: BlockRing, failed: Promise<never>): Promise<void> {
  const iterator = run.source[Symbol.asyncIterator]();
  let bytes = 0;
  let finished = false;
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), failed]);
      if (next.done === true) break;
      await ring.put(next.value);
      bytes += next.value.length;
      run.onProgress?.(bytes);
    }
    finished = true;
    ring.end();
  } finally {
    // Not awaited: a generator that waits for bytes would hold the failure back until they come.
    if (!finished) void iterator.return?.()?.then(undefined, () => undefined);
  }
}

/** Of several failures, the one nearest to the source that is not just the echo of another. */
function throwFirst(results: readonly PromiseSettledResult<unknown>[]): void {
  const reasons = results.filter((result) => result.status === "rejected").map((result): unknown => result.reason);
  if (reasons.length === 0) return;
  throw reasons.find((reason) => !isRingCancelled(reason)) ?? reasons[0];
}
