import { CodedError, hasCode } from "@varve/errors";
import { currentOwner } from "@varve/locks";
import type { Mount } from "@varve/mount";
import { canPrepareLayers, labelDiffId, labelOwner, labelParentChainId, labelTarget } from "@varve/snapshots";
import type { LayerRequest, PreparedLayer, Snapshotter } from "@varve/snapshots";
import { extractionKey } from "./extraction-key.ts";
import type { ChainLayer } from "./layer.ts";
import type { Logger } from "./logger.ts";
import { withSubject } from "./subject.ts";
import { tracedLayer } from "./traces.ts";

const prepareTries = 3;
// Clean-up runs on a deadline of its own: an aborted caller must not leave a half tree behind, nor wait for ever.
const discardTimeoutMs = 60_000;
// Annotations of a layer that reach its snapshot, as containerd's remote snapshotters expect.
const inheritedPrefix = "containerd.io/snapshot/";

/** What an extraction needs to know about its surroundings. */
export interface ExtractionContext {
  readonly snapshotter: Snapshotter;
  readonly signal?: AbortSignal | undefined;
  readonly logger?: Logger | undefined;
  /** Further labels of the active and the committed snapshot. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/**
 * Whether a layer's snapshot is committed.
 *
 * @throws ERR_FAILED_PRECONDITION an active snapshot or a view has its name
 */
export async function isCommitted(layer: ChainLayer, context: ExtractionContext): Promise<boolean> {
  const { chainId } = layer;
  try {
    const { kind } = await context.snapshotter.stat(chainId, { signal: context.signal });
    if (kind === "committed") return true;
    throw new CodedError(
      "ERR_FAILED_PRECONDITION",
      `snapshot ${chainId}: is ${kind}, and stands in the way of a layer`,
    );
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return false;
    throw failed(error, layer, `failed to stat snapshot ${chainId}`, context);
  }
}

/** An active snapshot on its way to become one committed layer. It ends with `commit` or `discard`. */
export interface Extraction {
  readonly key: string;
  readonly mounts: readonly Mount[];
  /**
   * The snapshotter has put the layer there: it is neither fetched nor applied, only committed (U-SNX.5). Nobody has seen its
   * bytes, so nothing is verified: that they are those of the diff ID is the snapshotter's word, as in containerd.
   */
  readonly isStaged: boolean;
  /**
   * Commits the snapshot under the layer's chain ID. `exists`: nothing was unpacked, because the snapshotter had staged the
   * layer, or because somebody else has committed it already, which is no error: what was extracted here is thrown away
   * (S0.14, U-UNP.15). After an error the extraction must be discarded.
   */
  commit(): Promise<"unpacked" | "exists">;
  /** Removes the snapshot, also after an abort. Never fails: what could not be removed is told to the logger (S0.11). */
  discard(): Promise<void>;
}

/**
 * Starts a snapshot for `layer` on top of `parent`. A key that is taken is tried again with another, unless the layer
 * turns out to be there already: then there is nothing to extract, and the answer is `undefined` (U-UNP.9).
 *
 * A `LayerPreparer` is asked for the layer. If it has committed it, on its word and without a look at the files, there is
 * nothing to extract either (U-MD.13).
 */
export async function prepareExtraction(
  layer: ChainLayer,
  parent: string | undefined,
  context: ExtractionContext,
): Promise<Extraction | undefined> {
  for (let tries = 1; ; tries += 1) {
    const key = extractionKey(layer.chainId);
    try {
      const request = { key, parent, target: layer.chainId };
      const prepared = await tracedLayer("prepare", layer, () => prepare(request, layer, context));
      if (prepared.state === "committed") return undefined;
      return new ActiveExtraction(key, prepared, layer, context);
    } catch (error) {
      if (!hasCode(error, "ERR_ALREADY_EXISTS") || tries === prepareTries) {
        throw failed(error, layer, `failed to prepare extraction layer ${layer.chainId}`, context);
      }
    }
    if (await isCommitted(layer, context)) return undefined;
  }
}

async function prepare(request: LayerRequest, layer: ChainLayer, context: ExtractionContext): Promise<PreparedLayer> {
  const { snapshotter, signal } = context;
  const options = { labels: prepareLabels(layer, context), signal };
  if (canPrepareLayers(snapshotter)) {
    const prepared = await snapshotter.prepareLayer(request, options);
    // What has another name would not be found by its chain ID: it is of no use here.
    if (prepared.state !== "committed" || prepared.name === layer.chainId) return prepared;
  }
  return { state: "empty", mounts: await snapshotter.prepare(request.key, request.parent, options) };
}

type ActiveLayer = Exclude<PreparedLayer, { readonly state: "committed" }>;

class ActiveExtraction implements Extraction {
  readonly key: string;
  readonly mounts: readonly Mount[];
  readonly isStaged: boolean;
  readonly #layer: ChainLayer;
  readonly #context: ExtractionContext;
  #ended = false;

  constructor(key: string, { mounts, state }: ActiveLayer, layer: ChainLayer, context: ExtractionContext) {
    this.key = key;
    this.mounts = mounts;
    this.isStaged = state === "staged";
    this.#layer = layer;
    this.#context = context;
  }

  async commit(): Promise<"unpacked" | "exists"> {
    const { snapshotter, signal } = this.#context;
    const { chainId } = this.#layer;
    try {
      await snapshotter.commit(chainId, this.key, { labels: commitLabels(this.#layer, this.#context), signal });
      this.#ended = true;
      return this.isStaged ? "exists" : "unpacked";
    } catch (error) {
      const exists = hasCode(error, "ERR_ALREADY_EXISTS") && (await isCommitted(this.#layer, this.#context));
      if (!exists) {
        throw failed(error, this.#layer, `failed to commit snapshot ${chainId}`, this.#context);
      }
    }
    try {
      await this.#remove();
    } catch (error) {
      throw failed(error, this.#layer, `failed to cleanup aborted apply ${this.key}`, this.#context);
    }
    return "exists";
  }

  async discard(): Promise<void> {
    if (this.#ended) return;
    try {
      await this.#remove();
    } catch (error) {
      this.#context.logger?.warn(`snapshot ${this.key}: failed to remove after an error`, { error });
    }
  }

  async #remove(): Promise<void> {
    this.#ended = true;
    await this.#context.snapshotter.remove(this.key, { signal: AbortSignal.timeout(discardTimeoutMs) });
  }
}

/** An error about one layer: which one, what failed, and why as the cause. */
export function failed(error: unknown, layer: ChainLayer, what: string, context: ExtractionContext): unknown {
  return withSubject(error, `layer ${layer.blob.digest}: ${what}`, context.signal);
}

/** Fails unless the stream that was applied is the one that the image's config names (S0.13, U-UNP.14). */
export function verifyDiffId(layer: ChainLayer, actual: string): void {
  if (actual === layer.diffId) return;
  throw new CodedError(
    "ERR_DIGEST_MISMATCH",
    `layer ${layer.blob.digest}: wrong diff id calculated on extraction: ${actual}, expected ${layer.diffId}`,
  );
}

// U-UNP.8. Our own labels come last: annotations come from outside and must not stand for them.
function prepareLabels(layer: ChainLayer, context: ExtractionContext): Record<string, string> {
  return { ...commitLabels(layer, context), [labelTarget]: layer.chainId, [labelOwner]: currentOwner() };
}

function commitLabels(layer: ChainLayer, context: ExtractionContext): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [name, value] of Object.entries(layer.blob.annotations ?? {})) {
    if (name.startsWith(inheritedPrefix)) labels[name] = value;
  }
  Object.assign(labels, context.labels, { [labelDiffId]: layer.diffId });
  if (layer.parent === undefined) delete labels[labelParentChainId];
  else labels[labelParentChainId] = layer.parent;
  return labels;
}
