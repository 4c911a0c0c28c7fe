import { readdir, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import type { LowerQuestions, LayerWriterOptions } from "@varve/archive";
import type { Provider } from "@varve/content";
import type { ApplyOptions, StagedLayer, StagingApplier } from "@varve/diff";
import { CodedError } from "@varve/errors";
import type { Digest } from "@varve/digest";
import type { Mount, Mounter } from "@varve/mount";
import { withTemporaryMount } from "@varve/mount";
import type { Descriptor } from "@varve/oci";
import { isLayerType, mediaTypes } from "@varve/oci";
import { applyTarget, lowerView } from "./apply-target.ts";
import type { ApplyTarget } from "./apply-target.ts";
import type { Applied } from "./jobs.ts";
import { LanePool } from "./lane-pool.ts";

export interface DifferOptions {
  /** Where layers are read from when `apply` is given no source. */
  readonly content?: Provider | undefined;
  /** Needed for mounts that are neither one directory nor one overlay, and for overlays with several layers below. */
  readonly mounter?: Mounter | undefined;
  /** Layers worked on at a time, each by two threads. Default: the number of cores. */
  readonly concurrency?: number | undefined;
  /**
   * `keep` gives files the owners and devices of the layer, which takes root; `skip` leaves both out.
   * Default: `keep` for root, `skip` for others.
   */
  readonly ownership?: "keep" | "skip" | undefined;
}

/** A differ holds threads until it is closed. */
export interface Differ extends StagingApplier, AsyncDisposable {
  /**
   * Applies a stream, compressed or not, to a directory in place, and tells digest and size of the uncompressed bytes.
   *
   * @throws ERR_INVALID_DATA the stream is malformed, or an entry is hostile
   */
  applyStream(
    source: AsyncIterable<Uint8Array>,
    directory: string,
    options?: Omit<ApplyOptions, "source">,
  ): Promise<{ readonly digest: Digest; readonly size: number }>;
  /** Starts threads for one layer, so that the first one need not wait for them: a tenth of a second. */
  warmUp(): void;
  /** Ends the worker threads. Closing twice is allowed. */
  close(): Promise<void>;
}

/** Makes an applier that decompresses, hashes and writes in worker threads. Threads start with the first layer. */
export function createDiffer(options: DifferOptions): Differ {
  return new WorkerDiffer(options);
}

class WorkerDiffer implements Differ {
  readonly #content: Provider | undefined;
  readonly #mounter: Mounter | undefined;
  readonly #ownership: "keep" | "skip";
  readonly #lanes: LanePool;

  constructor(options: DifferOptions) {
    this.#content = options.content;
    this.#mounter = options.mounter;
    this.#ownership = options.ownership ?? (process.geteuid?.() === 0 ? "keep" : "skip");
    this.#lanes = new LanePool(options.concurrency ?? availableParallelism());
  }

  async apply(layer: Descriptor, mounts: readonly Mount[], options: ApplyOptions = {}): Promise<Descriptor> {
    const target = applyTarget(mounts);
    if (target.form === "directory") return this.#applyIn(target.root, layer, options);
    if (target.form === "mount") return this.#applyMounted(layer, mounts, options);
    const staged = await this.#stageOverlay(layer, target, options);
    await staged.settle(mounts, { signal: options.signal });
    return staged.descriptor;
  }

  async applyStream(
    source: AsyncIterable<Uint8Array>,
    directory: string,
    options: Omit<ApplyOptions, "source"> = {},
  ): Promise<Applied> {
    return this.#write(source, directory, {}, options);
  }

  async stage(layer: Descriptor, mounts: readonly Mount[], options: ApplyOptions = {}): Promise<StagedLayer> {
    const target = applyTarget(mounts);
    if (target.form === "mount") {
      throw new CodedError("ERR_INVALID_ARGUMENT", `layer ${layer.digest}: only one directory can be staged into`);
    }
    const userxattr = target.form === "overlay" && target.userxattr;
    return this.#stageOverlay(layer, { form: "overlay", root: target.root, userxattr }, options);
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

  async #stageOverlay(
    layer: Descriptor,
    target: ApplyTarget & { form: "overlay" },
    options: ApplyOptions,
  ): Promise<StagedLayer> {
    const form: LayerWriterOptions = { target: "overlay", userxattr: target.userxattr };
    const applied = await this.#write(this.#bytesOf(layer, options), target.root, form, options);
    return {
      descriptor: describe(applied),
      settle: async (mounts, { signal } = {}) => {
        if (applied.questions === undefined) return;
        const redo = await this.#settle(target.root, mounts, applied.questions, form, signal);
        if (!redo) return;
        await emptyDirectory(target.root);
        // The root is no part of what is applied again, and must look as if the layer had been prepared on its parent.
        await this.#settle(target.root, mounts, onlyTheRoot, form, signal);
        // The blob is in the store by now: a followed download ends with its commit, and layers are settled after it.
        await this.#applyMounted(layer, mounts, { signal });
      },
    };
  }

  /** Says whether the layer must be applied again, through the mount. */
  async #settle(
    upper: string,
    mounts: readonly Mount[],
    questions: LowerQuestions,
    form: LayerWriterOptions,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const [overlay] = mounts;
    if (mounts.length !== 1 || overlay?.type !== "overlay") {
      throw new CodedError("ERR_INVALID_ARGUMENT", `overlay ${upper}: not the mounts of a snapshot on its parent`);
    }
    const below = lowerView(overlay);
    const ask = async (lower: string): Promise<boolean> => {
      const settled = await this.#lanes.run(
        (lane) => lane.settle({ upper, lower, questions, options: this.#writerOptions(form) }),
        signal,
      );
      return settled.redo;
    };
    const [only] = below;
    return only?.type === "bind" ? ask(only.source) : this.#mounted(below, ask, signal);
  }

  #applyMounted(layer: Descriptor, mounts: readonly Mount[], options: ApplyOptions): Promise<Descriptor> {
    return this.#mounted(mounts, (root) => this.#applyIn(root, layer, options), options.signal);
  }

  async #applyIn(root: string, layer: Descriptor, options: ApplyOptions): Promise<Descriptor> {
    return describe(await this.#write(this.#bytesOf(layer, options), root, {}, options));
  }

  #mounted<T>(
    mounts: readonly Mount[],
    body: (root: string) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    if (this.#mounter === undefined) {
      const types = mounts.map((mount) => mount.type).join(", ");
      throw new CodedError("ERR_NOT_IMPLEMENTED", `mounts (${types}): cannot be written to without a mounter`);
    }
    return withTemporaryMount(this.#mounter, mounts, body, { signal });
  }

  #write(
    source: AsyncIterable<Uint8Array>,
    root: string,
    form: LayerWriterOptions,
    { signal, onProgress }: Omit<ApplyOptions, "source">,
  ): Promise<Applied> {
    const job = { root, options: this.#writerOptions(form) };
    return this.#lanes.run((lane) => lane.apply({ source, job, signal, onProgress }), signal);
  }

  #writerOptions(form: LayerWriterOptions): LayerWriterOptions {
    return { ...form, ownership: this.#ownership, devices: this.#ownership === "keep" ? "create" : "skip" };
  }

  #bytesOf(layer: Descriptor, { signal, source }: ApplyOptions): AsyncIterable<Uint8Array> {
    const { digest, mediaType } = layer;
    if (!isLayerType(mediaType)) {
      throw new CodedError("ERR_NOT_IMPLEMENTED", `layer ${digest}: media type ${mediaType}: not supported`);
    }
    if (source !== undefined) return source;
    if (this.#content === undefined) {
      throw new CodedError("ERR_NOT_FOUND", `layer ${digest}: no content store and no source was given`);
    }
    return read(this.#content, layer, signal);
  }
}

async function* read(
  content: Provider,
  layer: Descriptor,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = await content.open(layer, { signal });
  try {
    yield* reader.stream({ signal, reuse: true });
  } finally {
    await reader.close();
  }
}

function describe(applied: Applied): Descriptor {
  return { mediaType: mediaTypes.ociLayer, digest: applied.digest, size: applied.size };
}

const onlyTheRoot: LowerQuestions = {
  assumed: [],
  implied: [""],
  whiteouts: [],
  opaque: [],
  links: [],
  redo: undefined,
};

/** Names are bytes: as text, one that is not UTF-8 would not be found again. */
async function emptyDirectory(directory: string): Promise<void> {
  for (const name of await readdir(directory, { encoding: "buffer" })) {
    await rm(Buffer.concat([Buffer.from(`${directory}/`), name]), { recursive: true });
  }
}
