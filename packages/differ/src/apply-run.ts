import { rm } from "node:fs/promises";
import { BlockRing } from "./block-ring.ts";
import type { SharedRing } from "./block-ring.ts";
import type { JobThread } from "./job-thread.ts";
import type { Applied, ApplyJob, DecodeJob, Hashed, HashJob, SettleJob, Written } from "./jobs.ts";
import { namingLayer } from "./layer-error.ts";
import type { Place } from "./place.ts";
import { isRingCancelled, RingCancelled } from "./ring-cancelled.ts";
import { SourcePump } from "./source-pump.ts";
import type { SourcePumpOptions } from "./source-pump.ts";

/** One layer that is to be applied. */
export interface LaneRun extends SourcePumpOptions {
  readonly source: AsyncIterable<Uint8Array>;
  readonly job: Omit<ApplyJob, "input" | "kind">;
  /** The file for the archive's tar-split records, if they are wanted. */
  readonly split?: string | undefined;
  readonly decode: Omit<DecodeJob, "hash" | "input" | "kind" | "output">;
  readonly place: Place;
  readonly signal?: AbortSignal | undefined;
}

interface Workers {
  readonly decoder: JobThread<DecodeJob | HashJob>;
  /** Absent: the decoder hashes. */
  readonly hasher: JobThread<HashJob> | undefined;
  readonly writer: JobThread<ApplyJob | SettleJob>;
}

interface Rings {
  readonly compressed: SharedRing;
  readonly plain: SharedRing;
}

/** One layer on its way from the source through the threads. */
export class ApplyRun {
  readonly #run: LaneRun;
  readonly #workers: Workers;
  readonly #rings: Rings;
  readonly #compressed: BlockRing;
  readonly #plain: BlockRing;
  readonly #pump: SourcePump;

  /** Nothing else may be using the workers and the rings. */
  constructor(run: LaneRun, workers: Workers, rings: Rings) {
    this.#run = run;
    this.#workers = workers;
    this.#rings = rings;
    this.#compressed = new BlockRing(rings.compressed);
    this.#plain = new BlockRing(rings.plain);
    this.#pump = new SourcePump(run.source, run);
  }

  /** Settles when the threads are free again, whatever comes of the layer. */
  async result(): Promise<Applied> {
    const { signal } = this.#run;
    this.#compressed.reset();
    this.#plain.reset();
    const onAbort = (): void => this.#cancel(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      signal?.throwIfAborted();
      return await this.#work();
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.#pump.close();
    }
  }

  async #work(): Promise<Applied> {
    const { decoder, hasher, writer } = this.#workers;
    // They start while the first bytes are on their way.
    for (const worker of [writer, hasher ?? decoder]) worker.start();
    const { decode, job, split: path } = this.#run;
    // What is not compressed takes the short way: one copy less, and a thread less.
    const isPlain = (await this.#pump.compression()) === "none";
    const [decoding, hashing] = this.#read(isPlain);
    // What a decoder counts otherwise.
    const pumping = isPlain ? this.#pump.moveTo(this.#plain, decode.limits) : this.#pump.moveTo(this.#compressed);
    const writing = writer.run<Written>({ ...job, kind: "apply", input: this.#rings.plain });
    try {
      await this.#all([pumping, decoding, hashing, writing]);
      return { ...(await hashing), ...(await writing) };
    } catch (error) {
      // Whoever hashes removes its records when it fails, but it may be done when another fails.
      if (path !== undefined && (await succeeded(hashing))) await rm(path, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  /** Starts what decompresses and what hashes, which may be one. */
  #read(isPlain: boolean): readonly [decoding: Promise<unknown>, hashing: Promise<Hashed>] {
    const { decoder, hasher } = this.#workers;
    const { decode, split: path, subject } = this.#run;
    const { compressed, plain } = this.#rings;
    const split = path === undefined ? undefined : { path, subject };
    if (isPlain || hasher !== undefined) this.#plain.haveConsumers(2);
    const job = { ...decode, kind: "decode", input: compressed, output: plain } as const;
    if (!isPlain && hasher === undefined) {
      const both = decoder.run<Hashed>({ ...job, hash: { split } });
      return [both, both];
    }
    const decoding = isPlain ? Promise.resolve() : decoder.run<undefined>(job);
    return [decoding, (hasher ?? decoder).run<Hashed>({ kind: "hash", input: plain, split })];
  }

  /** Waits for all, the source first; when one fails the others are stopped. */
  async #all(parts: readonly Promise<unknown>[]): Promise<void> {
    const { signal, subject } = this.#run;
    // The source is stopped by an echo: what it fails with goes before what the threads say.
    for (const part of parts) part.catch(() => this.#cancel(new RingCancelled()));
    const [fromSource, ...fromThreads] = await Promise.allSettled(parts);
    signal?.throwIfAborted();
    throwFirst([fromSource, ...fromThreads.map((result) => naming(result, subject))]);
  }

  #cancel(reason: unknown): void {
    this.#compressed.cancel();
    this.#plain.cancel();
    this.#pump.stop(reason);
  }
}

async function succeeded(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}

function naming(result: PromiseSettledResult<unknown>, subject: string): PromiseSettledResult<unknown> {
  if (result.status === "fulfilled" || isRingCancelled(result.reason)) return result;
  return { status: "rejected", reason: namingLayer(result.reason, subject) };
}

/** Of several failures, the one nearest to the source that is not just the echo of another. */
function throwFirst(results: readonly (PromiseSettledResult<unknown> | undefined)[]): void {
  const reasons = results.filter((result) => result?.status === "rejected").map((result): unknown => result.reason);
  if (reasons.length === 0) return;
  throw reasons.find((reason) => !isRingCancelled(reason)) ?? reasons[0];
}
