import type { LayerWriterOptions, LowerQuestions } from "@varve/archive";
import type { Provider } from "@varve/content";
import type { ApplyArchiveOptions, ApplyOptions, StagedLayer } from "@varve/diff";
import { CodedError } from "@varve/errors";
import type { Mount } from "@varve/mount";
import type { Descriptor } from "@varve/oci";
import { mediaTypes } from "@varve/oci";
import { inUserNamespace } from "@varve/syscalls";
import type { LaneRun } from "./apply-run.ts";
import { applyTarget, lowerView } from "./apply-target.ts";
import type { ApplyTarget } from "./apply-target.ts";
import type { DifferLanes } from "./differ-lanes.ts";
import type { Applied } from "./jobs.ts";
import { layerBytes } from "./layer-bytes.ts";
import type { LayerBytes } from "./layer-bytes.ts";
import { namingLayer } from "./layer-error.ts";
import type { MountedTrees } from "./mounted-trees.ts";

export interface LayerApplierOptions {
  readonly lanes: DifferLanes;
  readonly trees: MountedTrees;
  readonly content: Provider | undefined;
  /** Of every layer. */
  readonly writer: LayerWriterOptions;
  readonly decode: LaneRun["decode"];
}

export interface LayerApplyOptions extends ApplyOptions {
  /**
   * A file for the tar-split records of the layer, compressed by gzip: with them and the tree, `joinTar` of `@varve/archive` gives
   * the archive bit for bit. What is there is replaced, and nothing is there when the layer fails.
   */
  readonly split?: string | undefined;
}

/** A stream on its way into a directory. */
export interface WriteOptions extends Omit<LayerApplyOptions, "source"> {
  /** What errors are about. */
  readonly subject: string;
  readonly size?: number | undefined;
  readonly form?: Pick<LayerWriterOptions, "target" | "userxattr"> | undefined;
}

type RunOptions = Omit<LayerApplyOptions, "source">;

/** Applies layers to mounts, the shortest way that there is. */
export class LayerApplier {
  readonly #options: LayerApplierOptions;

  constructor(options: LayerApplierOptions) {
    this.#options = options;
  }

  async apply(layer: Descriptor, mounts: readonly Mount[], options: LayerApplyOptions): Promise<Descriptor> {
    return describe(await this.#apply(layerBytes(layer, this.#options.content, options.source), mounts, options));
  }

  async applyArchive(
    archive: () => AsyncIterable<Uint8Array>,
    mounts: readonly Mount[],
    { subject = "layer", records, ...options }: ApplyArchiveOptions,
  ): Promise<Applied> {
    return this.#apply({ subject, open: archive }, mounts, { ...options, split: records });
  }

  async stage(layer: Descriptor, mounts: readonly Mount[], options: LayerApplyOptions): Promise<StagedLayer> {
    const target = applyTarget(mounts);
    if (target.form === "mount") {
      throw new CodedError("ERR_INVALID_ARGUMENT", `layer ${layer.digest}: only one directory can be staged into`);
    }
    // A snapshot without a parent is one directory, and says nothing of the overlay that it will be part of (G-32).
    const userxattr = target.form === "overlay" ? target.userxattr : inUserNamespace();
    const bytes = layerBytes(layer, this.#options.content, options.source);
    const staged = await this.#stageOverlay(bytes, { form: "overlay", root: target.root, userxattr }, options);
    return { descriptor: describe(staged.applied), settle: staged.settle };
  }

  write(source: AsyncIterable<Uint8Array>, root: string, options: WriteOptions): Promise<Applied> {
    const { form, ...run } = options;
    const { decode, lanes, writer } = this.#options;
    const job = { root, options: { ...writer, ...form, subject: options.subject } };
    return lanes.run((lane, place) => lane.apply({ ...run, source, job, decode, place }), options.signal);
  }

  async #apply(layer: LayerBytes, mounts: readonly Mount[], options: RunOptions): Promise<Applied> {
    const target = applyTarget(mounts);
    if (target.form === "directory") return this.#writeLayer(layer, target.root, {}, options);
    if (target.form === "mount") return this.#applyMounted(layer, mounts, options);
    const staged = await this.#stageOverlay(layer, target, options);
    await staged.settle(mounts, { signal: options.signal });
    return staged.applied;
  }

  async #stageOverlay(
    layer: LayerBytes,
    target: ApplyTarget & { form: "overlay" },
    options: RunOptions,
  ): Promise<Pick<StagedLayer, "settle"> & { readonly applied: Applied }> {
    const form = { target: "overlay", userxattr: target.userxattr } as const;
    const applied = await this.#writeLayer(layer, target.root, form, options);
    return {
      applied,
      settle: async (mounts, { signal } = {}) => {
        const { questions } = applied;
        const settle = (asked: LowerQuestions): Promise<boolean> =>
          this.#settle(layer, { upper: target.root, mounts, form, questions: asked }, signal);
        if (hasMarkersFor(mounts, target) && (questions === undefined || !(await settle(questions)))) return;
        const { lanes } = this.#options;
        await lanes.run((lane) => naming(layer.subject, lane.empty(target.root)), signal);
        // The root is no part of what is applied again, and must look as if the layer had been prepared on its parent.
        await settle(onlyTheRoot);
        const again = await this.#applyMounted(layer, mounts, { signal });
        if (again.digest !== applied.digest) {
          const why = `read again it has the diff ID ${again.digest}, before it was ${applied.digest}`;
          throw new CodedError("ERR_DIGEST_MISMATCH", `${layer.subject}: ${why}`);
        }
      },
    };
  }

  /** Says whether the layer must be applied again, through the mount. */
  async #settle(
    { subject }: LayerBytes,
    staged: {
      readonly upper: string;
      readonly mounts: readonly Mount[];
      readonly form: NonNullable<WriteOptions["form"]>;
      readonly questions: LowerQuestions;
    },
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const { upper, mounts, form, questions } = staged;
    const { lanes, trees, writer } = this.#options;
    const [overlay] = mounts;
    if (mounts.length !== 1 || overlay?.type !== "overlay") {
      throw new CodedError("ERR_INVALID_ARGUMENT", `${subject}: not the mounts of a snapshot on its parent`);
    }
    const below = lowerView(overlay);
    const ask = async (lower: string): Promise<boolean> => {
      const options = { ...writer, ...form, subject };
      const settled = await lanes.run(
        (lane) => naming(subject, lane.settle({ upper, lower, questions, options })),
        signal,
      );
      return settled.redo;
    };
    const [only] = below;
    return only?.type === "bind" ? ask(only.source) : trees.show(below, ask, signal);
  }

  #applyMounted(layer: LayerBytes, mounts: readonly Mount[], options: RunOptions): Promise<Applied> {
    return this.#options.trees.show(mounts, (root) => this.#writeLayer(layer, root, {}, options), options.signal);
  }

  async #writeLayer(
    { open, size, subject }: LayerBytes,
    root: string,
    form: NonNullable<WriteOptions["form"]>,
    { onProgress, signal, split }: RunOptions,
  ): Promise<Applied> {
    return this.write(open(signal), root, { form, signal, onProgress, split, subject, size });
  }
}

/** Whether the overlay reads the markers that were written; of other mounts `#settle` says what is wrong. */
function hasMarkersFor([overlay]: readonly Mount[], { userxattr }: ApplyTarget & { form: "overlay" }): boolean {
  return overlay?.type !== "overlay" || overlay.options.includes("userxattr") === userxattr;
}

async function naming<T>(subject: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw namingLayer(error, subject);
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
