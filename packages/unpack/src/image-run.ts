import type { Follower, Provider } from "@varve/content";
import { canStage } from "@varve/diff";
import type { Digest } from "@varve/digest";
import type { OnProgress } from "@varve/images";
import type { KeyedLock, Limiter } from "@varve/locks";
import { canPrepareLayers, canRebase } from "@varve/snapshots";
import { Downloads } from "./download.ts";
import type { Download, FetchLayer } from "./download.ts";
import type { LayerContext, Staging } from "./layer-context.ts";
import { startLayer } from "./layer-job.ts";
import type { LayerJob, LayerStatus } from "./layer-job.ts";
import type { ChainLayer } from "./layer.ts";
import type { Logger } from "./logger.ts";
import type { BeforeLayers, UnpackPlatform } from "./options.ts";
import { firstMissing } from "./plan.ts";

/** What the images of one unpacker have in common. */
export interface RunContext {
  readonly fetch: FetchLayer;
  readonly content: Provider;
  readonly follower: Follower | undefined;
  readonly parallel: boolean;
  readonly fetchLimiter: Limiter;
  readonly unpackLimiter: Limiter;
  readonly locks: KeyedLock;
  readonly chainLocks: KeyedLock;
  readonly beforeLayers: BeforeLayers | undefined;
  readonly onProgress: OnProgress | undefined;
  readonly logger: Logger | undefined;
}

export interface ImageRunOptions extends RunContext {
  readonly platform: UnpackPlatform;
  /** Ends the whole run at once. */
  readonly signal: AbortSignal;
  /** Told the first error at once, while layers below the failed one may still be brought to their commit. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Unpacks the layers of one image and says for each what became of it, the bottom first. It settles when nothing of it
 * runs any more: no download, no applier, no active snapshot.
 *
 * After an error the layers above the failed one are stopped at once; those below it that can do without a further
 * download are still committed, so that the next try finds them (U-UNP.16).
 */
export async function unpackLayers(chain: readonly ChainLayer[], options: ImageRunOptions): Promise<LayerStatus[]> {
  const missing = await firstMissing(chain, {
    snapshotter: options.platform.snapshotter,
    signal: options.signal,
    logger: options.logger,
  });
  const statuses: LayerStatus[] = [];
  for (const layer of chain.slice(0, missing)) {
    options.onProgress?.({ type: "exists", descriptor: layer.blob, what: "snapshot", chainId: layer.chainId });
    statuses.push("exists");
  }
  // U-UNP.10: what lies below the first missing layer is never downloaded.
  if (missing === chain.length) return statuses;
  const rest = chain.slice(missing);
  const { beforeLayers, signal } = options;
  await beforeLayers?.(
    rest.map((layer) => layer.blob),
    { signal },
  );
  const run = new ImageRun(rest, options);
  return [...statuses, ...(await run.run())];
}

interface Stage {
  readonly layer: ChainLayer;
  readonly stop: AbortController;
  /** Absent: nobody has needed the blob so far. */
  download?: Download | undefined;
}

class ImageRun {
  readonly #options: ImageRunOptions;
  readonly #stages: readonly Stage[];
  readonly #downloads: Downloads;
  readonly #staging: Staging | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(missing: readonly ChainLayer[], options: ImageRunOptions) {
    this.#options = options;
    const { fetch, fetchLimiter: limiter, locks, onProgress, signal } = options;
    this.#downloads = new Downloads({ fetch, limiter, locks, onProgress, signal });
    this.#stages = missing.map((layer) => ({ layer, stop: new AbortController() }));
    const { snapshotter, applier } = options.platform;
    // It is asked for a layer on top of its parent, and nothing is fetched that it may have.
    if (canPrepareLayers(snapshotter)) return;
    if (options.parallel && canRebase(snapshotter) && canStage(applier)) {
      this.#staging = { rebaser: snapshotter, applier };
    }
    // All of them at once, the lowest first: the limiter gives them their turn.
    for (const stage of this.#stages) this.#download(stage);
  }

  async run(): Promise<LayerStatus[]> {
    const jobs = await this.#startJobs();
    const settled = await Promise.allSettled(jobs.map((job) => job.committed));
    if (this.#failure !== undefined) this.#downloads.stop(this.#failure.error);
    await this.#downloads.settled();
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#options.signal.throwIfAborted();
    return settled.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  }

  #download(stage: Stage): Download {
    if (stage.download !== undefined) return stage.download;
    const download = this.#downloads.start(stage.layer.blob);
    download.done.catch((error: unknown) => this.#fail(stage, error));
    stage.download = download;
    return download;
  }

  /** Starts one layer after the other, the next when the one before is prepared, or without staging when it is committed. */
  async #startJobs(): Promise<LayerJob[]> {
    const jobs: LayerJob[] = [];
    let below: Promise<unknown> = Promise.resolve();
    for (const stage of this.#stages) {
      if (stage.stop.signal.aborted) break;
      const job = startLayer(stage.layer, below, this.#contextFor(stage));
      jobs.push(job);
      void this.#attend(stage, job);
      below = job.committed;
      const next = this.#staging === undefined ? job.committed : job.prepared;
      await next.catch(() => {});
    }
    return jobs;
  }

  async #attend(stage: Stage, job: LayerJob): Promise<void> {
    try {
      const status = await job.committed;
      if (status === "exists" && stage.download !== undefined) this.#downloads.release(stage.layer.blob);
    } catch (error) {
      this.#fail(stage, error);
    }
  }

  #contextFor(stage: Stage): LayerContext {
    const { layer, stop } = stage;
    const { platform, signal, unpackLimiter: limiter, content, follower, onProgress, logger } = this.#options;
    return {
      snapshotter: platform.snapshotter,
      snapshotterName: platform.snapshotterName,
      applier: platform.applier,
      labels: platform.snapshotLabels,
      signal: AbortSignal.any([signal, stop.signal]),
      download: () => this.#download(stage),
      staging: layer.parent === undefined ? undefined : this.#staging,
      chainLocks: this.#options.chainLocks,
      limiter,
      group: this,
      content,
      follower,
      onProgress,
      logger,
    };
  }

  /** Ends the failed layer and all above it. The first failure is the one that is reported. */
  #fail(failed: Stage, error: unknown): void {
    const needed = new Set<Digest>();
    for (const stage of this.#stages) {
      if (stage.layer.index < failed.layer.index) needed.add(stage.layer.blob.digest);
      else stage.stop.abort(error);
    }
    this.#downloads.stop(error, needed);
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    this.#options.onFailure(error);
  }
}
