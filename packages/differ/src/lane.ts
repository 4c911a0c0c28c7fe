import type { PackSummary, Trees } from "@varve/archive";
import { ApplyRun } from "./apply-run.ts";
import type { LaneRun } from "./apply-run.ts";
import { BlockRing, createSharedRing } from "./block-ring.ts";
import type { SharedRing } from "./block-ring.ts";
import { JobThread } from "./job-thread.ts";
import type {
  Applied,
  ApplyJob,
  ChangesJob,
  DecodeJob,
  EmptyJob,
  Hashed,
  HashJob,
  Packed,
  PackJob,
  SettleJob,
  Settled,
} from "./jobs.ts";
import { isRingCancelled } from "./ring-cancelled.ts";

export interface LaneOptions {
  /** Whether a thread does nothing but hash; if not, the one that decompresses hashes, too. */
  readonly ownHasher: boolean;
}

/** An archive that is to be made. */
export interface PackRun extends Pick<PackJob, "sourceDateEpoch" | "trees"> {
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes that were taken so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

const slotBytes = 256 * 1024;
/** What comes out of a decompressor goes three times as fast as what goes in, and has to last as long. */
const compressedSlots = 4;
const plainSlots = 8;

/**
 * The threads of one layer and the rings between them. To apply: source → inflate → write; to pack: walk → whoever compresses. In both
 * what is in the plain ring is hashed. All of this overlaps only because each has a thread of its own, or with few processors each
 * of the two that cost most; threads start when they are needed.
 */
export class Lane {
  readonly #decoder: JobThread<DecodeJob | HashJob> = new JobThread("decode-worker");
  readonly #hasher: JobThread<HashJob> | undefined;
  readonly #writer: JobThread<ApplyJob | EmptyJob | SettleJob> = new JobThread("apply-worker");
  readonly #packer: JobThread<ChangesJob | PackJob> = new JobThread("pack-worker");
  readonly #compressed: SharedRing = createSharedRing(compressedSlots, slotBytes);
  readonly #plain: SharedRing = createSharedRing(plainSlots, slotBytes);
  #isClosed = false;

  constructor({ ownHasher }: LaneOptions) {
    this.#hasher = ownHasher ? new JobThread("digest-worker") : undefined;
  }

  get isDead(): boolean {
    return this.#threads().some((thread) => thread.isDead);
  }

  /**
   * Starts the threads that apply, one when another runs: until then each takes a processor away from whoever asked for them. A job does
   * not wait for that.
   */
  warmUp(): void {
    const cold = [this.#writer, this.#hasher, this.#decoder].filter((thread) => thread !== undefined);
    const startNext = (): void => {
      if (!this.#isClosed) cold.shift()?.start().once("online", startNext);
    };
    setImmediate(startNext);
  }

  apply(run: LaneRun): Promise<Applied> {
    const workers = { decoder: this.#decoder, hasher: this.#hasher, writer: this.#writer };
    return new ApplyRun(run, workers, { compressed: this.#compressed, plain: this.#plain }).result();
  }

  settle(job: Omit<SettleJob, "kind">): Promise<Settled> {
    return this.#writer.run<Settled>({ ...job, kind: "settle" });
  }

  /** Removes all that is in a directory. */
  async empty(directory: string): Promise<void> {
    await this.#writer.run<undefined>({ kind: "empty", directory });
  }

  /** The blocks of an archive, and what it came to, which resolves with their end. The lane is free when the blocks have ended. */
  pack(run: PackRun): {
    readonly blocks: AsyncGenerator<Uint8Array, void, undefined>;
    readonly packed: Promise<Packed>;
  } {
    const { promise, resolve } = Promise.withResolvers<Packed>();
    return { blocks: this.#pack(run, resolve), packed: promise };
  }

  /** The encoded list of changes. A block is valid until the next one is asked for. The lane is free when they have ended. */
  async *changes(trees: Trees, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void, undefined> {
    new BlockRing(this.#plain).reset();
    yield* this.#take([this.#packer.run<undefined>({ kind: "changes", trees, output: this.#plain })], signal);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#threads().map((thread) => thread.close()));
  }

  #threads(): readonly Pick<JobThread<never>, "close" | "isDead">[] {
    const threads = [this.#decoder, this.#writer, this.#packer];
    return this.#hasher === undefined ? threads : [...threads, this.#hasher];
  }

  async *#pack(run: PackRun, onEnd: (packed: Packed) => void): AsyncGenerator<Uint8Array, void, undefined> {
    const { trees, sourceDateEpoch, onProgress, signal } = run;
    new BlockRing(this.#plain).reset(2);
    const packing = this.#packer.run<PackSummary>({ kind: "pack", trees, sourceDateEpoch, output: this.#plain });
    const hashing = (this.#hasher ?? this.#decoder).run<Hashed>({ kind: "hash", input: this.#plain });
    let bytes = 0;
    for await (const block of this.#take([packing, hashing], signal)) {
      yield block;
      onProgress?.((bytes += block.length));
    }
    onEnd({ ...(await packing), ...(await hashing) });
  }

  /** Yields what the threads put into the plain ring, until all of them have ended well. */
  async *#take(
    parts: readonly Promise<unknown>[],
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const ring = new BlockRing(this.#plain);
    const cancel = (): void => ring.cancel();
    for (const part of parts) part.catch(cancel);
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      signal?.throwIfAborted();
      yield* ring.blocks();
      await Promise.all(parts);
    } catch (error) {
      signal?.throwIfAborted();
      throw isRingCancelled(error) ? await whyCancelled(parts, error) : error;
    } finally {
      signal?.removeEventListener("abort", cancel);
      // Left early: the threads must have noticed before they get the next job.
      cancel();
      await Promise.allSettled(parts);
    }
  }
}

/** The ring is cancelled when a thread has failed, which the others only echo. */
async function whyCancelled(parts: readonly Promise<unknown>[], echo: unknown): Promise<unknown> {
  for (const result of await Promise.allSettled(parts)) {
    if (result.status === "rejected" && !isRingCancelled(result.reason)) return result.reason;
  }
  return echo;
}
