import { availableParallelism } from "node:os";
import { canFollow } from "@varve/content";
import { CodedError } from "@varve/errors";
import type { Handler } from "@varve/images";
import { createKeyedLock, createLimiter } from "@varve/locks";
import { isConfigType } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { blobKey } from "./download.ts";
import { unpackImage } from "./image-unpack.ts";
import type { RunContext } from "./image-run.ts";
import type { UnpackerOptions, UnpackResult } from "./options.ts";
import { traced } from "./traces.ts";
import { LayerKeeper } from "./withheld.ts";
import type { WithheldLayers } from "./withheld.ts";

/**
 * Unpacks images while they are being fetched.
 *
 * Put the handler that fetches and lists children into `wrap`, dispatch the result, then `wait`, and `close` whatever
 * happened. The wrapped handler keeps layers out of the walk; they are fetched and unpacked as soon as their config is there.
 */
export interface Unpacker extends AsyncDisposable {
  /** The handler runs first; its children come back without the layers. Errors of either side end both. */
  wrap(handler: Handler): Handler;
  /**
   * Waits for every unpack that the walk has started, and says what became of them, in that order. To be called when the
   * walk is over. Images of a platform that no entry matches are fetched only, and are not among the results.
   *
   * @throws the first error of any of them, or of a wrapped handler
   */
  wait(): Promise<readonly UnpackResult[]>;
  /** Stops what still runs, and resolves when nothing does: no download, no applier, no active snapshot. Closing twice is allowed. */
  close(): Promise<void>;
}

/**
 * Starts an unpacker for one walk.
 *
 * @throws ERR_INVALID_ARGUMENT no platform is given
 */
export function createUnpacker(options: UnpackerOptions): Unpacker {
  if (options.platforms.length === 0) throw new CodedError("ERR_INVALID_ARGUMENT", "unpacker: no platform is given");
  return new LayerUnpacker(options);
}

interface Task {
  readonly stop: AbortController;
  readonly result: Promise<UnpackResult | undefined>;
}

class LayerUnpacker implements Unpacker {
  readonly #options: UnpackerOptions;
  readonly #context: RunContext;
  readonly #keeper = new LayerKeeper();
  readonly #tasks: Task[] = [];
  /** Ends the walk, and everything at `close`. */
  readonly #stop = new AbortController();
  #failure: { readonly error: unknown } | undefined;

  constructor(options: UnpackerOptions) {
    this.#options = options;
    const { content, followWhileFetching = true } = options;
    this.#context = {
      fetch: options.fetch,
      content,
      follower: followWhileFetching && canFollow(content) ? content : undefined,
      parallel: options.parallel ?? true,
      fetchLimiter: options.fetchLimiter ?? createLimiter(3),
      unpackLimiter: options.unpackLimiter ?? createLimiter(Math.min(8, Math.max(2, availableParallelism()))),
      locks: options.locks ?? createKeyedLock(),
      chainLocks: options.chainLocks ?? options.locks ?? createKeyedLock(),
      beforeLayers: options.beforeLayers,
      onProgress: options.onProgress,
      logger: options.logger,
    };
  }

  wrap(handler: Handler): Handler {
    return async (descriptor, context) => {
      const signal = AbortSignal.any([context.signal, ...this.#outerSignals()]);
      try {
        signal.throwIfAborted();
        const handle = (): Promise<readonly Descriptor[]> =>
          traced({ phase: "handle", descriptor }, () => handler(descriptor, { signal }));
        const children = await this.#context.locks.run(blobKey(descriptor.digest), handle, { signal });
        // A handler may end well although the walk was stopped meanwhile; nothing may start any more.
        signal.throwIfAborted();
        if (isConfigType(descriptor.mediaType)) this.#startWaitingFor(descriptor);
        return this.#keeper.withhold(descriptor, children);
      } catch (error) {
        this.#fail(error);
        throw error;
      }
    };
  }

  async wait(): Promise<readonly UnpackResult[]> {
    const settled = await Promise.allSettled(this.#tasks.map((task) => task.result));
    if (this.#failure !== undefined) throw this.#failure.error;
    return settled.flatMap((task) => (task.status === "fulfilled" && task.value !== undefined ? [task.value] : []));
  }

  async close(): Promise<void> {
    const reason = this.#failure?.error ?? new CodedError("ERR_ABORTED", "unpacker: closed");
    this.#fail(reason);
    for (const task of this.#tasks) task.stop.abort(reason);
    await Promise.allSettled(this.#tasks.map((task) => task.result));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #startWaitingFor(config: Descriptor): void {
    for (const withheld of this.#keeper.take(config)) this.#start(withheld);
  }

  #start(withheld: WithheldLayers): void {
    // A task is stopped by itself: the one that failed may still commit layers when all others end at once.
    const stop = new AbortController();
    const { signal: outer } = this.#options;
    const signal = outer === undefined ? stop.signal : AbortSignal.any([outer, stop.signal]);
    const onFailure = (error: unknown): void => this.#fail(error, stop);
    const result = unpackImage(withheld, this.#options, { ...this.#context, signal, onFailure });
    result.catch(onFailure);
    this.#tasks.push({ stop, result });
  }

  #fail(error: unknown, source?: AbortController): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    this.#stop.abort(error);
    for (const task of this.#tasks) if (task.stop !== source) task.stop.abort(error);
  }

  #outerSignals(): AbortSignal[] {
    const { signal } = this.#options;
    return signal === undefined ? [this.#stop.signal] : [signal, this.#stop.signal];
  }
}
