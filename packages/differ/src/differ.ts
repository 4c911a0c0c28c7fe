import type { Change, SkipCounts, SplitSummary } from "@varve/archive";
import type { DecoderLimits } from "@varve/compression";
import { canIngest, canProvide } from "@varve/content";
import type { Ingester } from "@varve/content";
import type {
  AppliedArchive,
  ApplyArchiveOptions,
  ArchiveApplier,
  ArchiveComparer,
  ComparedLayer,
  CompareOptions,
  Comparer,
  StagedLayer,
  StagingApplier,
} from "@varve/diff";
import type { Digest } from "@varve/digest";
import type { Mount } from "@varve/mount";
import type { Descriptor } from "@varve/oci";
import { DifferLanes } from "./differ-lanes.ts";
import { LayerApplier } from "./layer-applier.ts";
import type { LayerApplyOptions } from "./layer-applier.ts";
import { LayerComparer } from "./layer-comparer.ts";
import { MountedTrees } from "./mounted-trees.ts";
import type { DifferLimits, DifferOptions } from "./options.ts";

export interface ApplyStreamOptions extends Omit<LayerApplyOptions, "source"> {
  /** What errors begin with. Default `layer`. */
  readonly subject?: string | undefined;
}

/** What an applied stream came to. */
export interface AppliedStream {
  /** Of the uncompressed bytes to the very end: the diff ID. */
  readonly digest: Digest;
  /** Uncompressed bytes. */
  readonly size: number;
  /** Entries of the archive, whiteouts included. */
  readonly entries: number;
  readonly skipped: SkipCounts;
  /** What was recorded for tar-split, if a file for it was given. */
  readonly split: SplitSummary | undefined;
}

/** A differ holds threads until it is closed, or until all that share them are. */
export interface Differ extends StagingApplier, ArchiveApplier, ArchiveComparer, AsyncDisposable {
  apply(layer: Descriptor, mounts: readonly Mount[], options?: LayerApplyOptions): Promise<Descriptor>;
  stage(layer: Descriptor, mounts: readonly Mount[], options?: LayerApplyOptions): Promise<StagedLayer>;
  /**
   * Applies a stream, compressed or not, to a directory in place, and describes the uncompressed bytes.
   *
   * @throws ERR_INVALID_DATA the stream is malformed, or an entry is hostile
   * @throws ERR_RESOURCE_EXHAUSTED a limit was reached
   */
  applyStream(
    source: AsyncIterable<Uint8Array>,
    directory: string,
    options?: ApplyStreamOptions,
  ): Promise<AppliedStream>;
  /**
   * Lists what `upper` shows differently from `lower`. The list is whole and nothing mounted any more before the first change is given.
   *
   * @param lower no mounts at all stand for an empty tree
   */
  changes(
    lower: readonly Mount[],
    upper: readonly Mount[],
    options?: { readonly signal?: AbortSignal | undefined },
  ): AsyncGenerator<Change, void, undefined>;
  /** Starts threads for one layer, so that the first one need not wait for them: a tenth of a second. */
  warmUp(): void;
  /**
   * Ends the threads that are idle, unless another differ shares them; those of a layer that is under way end with it. Closing
   * twice is allowed.
   */
  close(): Promise<void>;
}

/**
 * Makes an applier that decompresses, hashes and writes in worker threads. Threads start with the first layer.
 * If `content` takes new blobs in, it is a comparer as well.
 */
export function createDiffer(options: DifferOptions & { readonly content: Ingester }): Comparer & Differ;
export function createDiffer(options?: DifferOptions): Differ;
export function createDiffer(options: DifferOptions = {}): Differ {
  const { content } = options;
  return content !== undefined && canIngest(content)
    ? new ComparingDiffer(options, content)
    : new WorkerDiffer(options);
}

class WorkerDiffer implements Differ {
  protected readonly comparer: LayerComparer;
  readonly #applier: LayerApplier;
  readonly #lanes: DifferLanes;

  constructor(options: DifferOptions) {
    const { content, decoders = "system", idMappings, limits = {}, mounter, mountDirectory } = options;
    const { ownership = process.geteuid?.() === 0 ? "keep" : "skip" } = options;
    const trees = new MountedTrees({ mounter, directory: mountDirectory });
    this.#lanes = new DifferLanes(options.concurrency);
    this.comparer = new LayerComparer(this.#lanes, trees, ownership === "record" ? "record" : "keep");
    this.#applier = new LayerApplier({
      lanes: this.#lanes,
      trees,
      content: content !== undefined && canProvide(content) ? content : undefined,
      writer: { ownership, idMappings, limits, devices: ownership === "skip" ? "skip" : "create" },
      decode: { decoders, limits: decodeLimits(limits) },
    });
  }

  apply(layer: Descriptor, mounts: readonly Mount[], options: LayerApplyOptions = {}): Promise<Descriptor> {
    return this.#applier.apply(layer, mounts, options);
  }

  async applyStream(
    source: AsyncIterable<Uint8Array>,
    directory: string,
    { subject = "layer", ...options }: ApplyStreamOptions = {},
  ): Promise<AppliedStream> {
    const applied = await this.#applier.write(source, directory, { ...options, subject });
    const { digest, size, entries, skipped, split } = applied;
    return { digest, size, entries, skipped, split };
  }

  async applyArchive(
    archive: () => AsyncIterable<Uint8Array>,
    mounts: readonly Mount[],
    options: ApplyArchiveOptions,
  ): Promise<AppliedArchive> {
    const { digest, size, entries, split } = await this.#applier.applyArchive(archive, mounts, options);
    return { diffId: digest, size, entries, contentBytes: split?.contentBytes ?? 0, replaced: split?.replaced ?? 0 };
  }

  stage(layer: Descriptor, mounts: readonly Mount[], options: LayerApplyOptions = {}): Promise<StagedLayer> {
    return this.#applier.stage(layer, mounts, options);
  }

  changes(
    lower: readonly Mount[],
    upper: readonly Mount[],
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<Change, void, undefined> {
    return this.comparer.changes(lower, upper, signal);
  }

  archiveChanges(
    lower: readonly Mount[],
    upper: readonly Mount[],
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    return this.comparer.archiveChanges(lower, upper, signal);
  }

  warmUp(): void {
    this.#lanes.warmUp();
  }

  async close(): Promise<void> {
    await this.#lanes.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * gzip cannot exceed 1,032 times its size, so no honest layer of the usual kind is refused by a ratio. A window is memory, for each
 * layer under way: 32 MiB is the most that the image builders written in Go and the levels of zstd up to 20 ask for.
 */
function decodeLimits(limits: DifferLimits): DecoderLimits {
  const { maxBytes = 2 ** 40, maxRatio = 1100, maxWindow = 2 ** 25 } = limits;
  return { maxBytes, maxRatio, maxWindow };
}

class ComparingDiffer extends WorkerDiffer implements Comparer {
  readonly #store: Ingester;

  constructor(options: DifferOptions, store: Ingester) {
    super(options);
    this.#store = store;
  }

  compare(lower: readonly Mount[], upper: readonly Mount[], options: CompareOptions = {}): Promise<ComparedLayer> {
    return this.comparer.compare(lower, upper, this.#store, options);
  }
}
