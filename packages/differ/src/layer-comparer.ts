import { randomUUID } from "node:crypto";
import type { Change, Trees } from "@varve/archive";
import { compress } from "@varve/compression";
import type { Compression } from "@varve/compression";
import { createBlobPipe } from "@varve/content";
import type { Ingester } from "@varve/content";
import type { ComparedLayer, CompareOptions } from "@varve/diff";
import { CodedError, hasCode } from "@varve/errors";
import type { Mount } from "@varve/mount";
import { onlyDirectory, readOnlyMounts } from "@varve/mount";
import { mediaTypes } from "@varve/oci";
import { decodeChanges } from "./change-codec.ts";
import { compareTarget } from "./compare-target.ts";
import type { DifferLanes } from "./differ-lanes.ts";
import type { Packed } from "./jobs.ts";
import type { Lane } from "./lane.ts";
import { compressionFor } from "./layer-format.ts";
import { LayerIngest } from "./layer-ingest.ts";
import type { MountedTrees } from "./mounted-trees.ts";
import type { Place } from "./place.ts";

/** Makes layers of what changed between mounts, the shortest way that there is. */
export class LayerComparer {
  readonly #lanes: DifferLanes;
  readonly #trees: MountedTrees;
  readonly #ownership: Trees["ownership"];

  /** @param ownership whether owners are what they are in all trees, or what is recorded there */
  constructor(lanes: DifferLanes, trees: MountedTrees, ownership: Trees["ownership"]) {
    this.#lanes = lanes;
    this.#trees = trees;
    this.#ownership = ownership;
  }

  async compare(
    lower: readonly Mount[],
    upper: readonly Mount[],
    store: Ingester,
    options: CompareOptions,
  ): Promise<ComparedLayer> {
    const { mediaType = mediaTypes.ociLayerGzip, labels, ref = `compare-${randomUUID()}`, signal } = options;
    const compression = compressionFor(mediaType);
    signal?.throwIfAborted();
    const ingest = await LayerIngest.open(store, ref, signal);
    // All of it, or a mount that does not come off would leave the ingest and its lock.
    return ingest.orGiveUp(async () => {
      const packed = await this.#withTrees(lower, upper, signal, (trees) =>
        this.#lanes.run((lane, place) => pack({ lane, place }, trees, ingest, { ...options, compression }), signal),
      );
      const { digest, size } = await ingest.commit(packed.digest, labels);
      const descriptor = { mediaType, digest, size };
      return { descriptor, diffId: packed.digest, size: packed.bytes, entries: packed.entries };
    });
  }

  /** Lists what differs. The list is whole, and every mount off, before the first one is given; it is held as a few bytes for each. */
  async *changes(
    lower: readonly Mount[],
    upper: readonly Mount[],
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Change, void, undefined> {
    signal?.throwIfAborted();
    const list = await this.#withTrees(lower, upper, signal, (trees) =>
      this.#lanes.run((lane) => collect(lane.changes(trees, signal)), signal),
    );
    for (const change of decodeChanges(list)) {
      signal?.throwIfAborted();
      yield change;
    }
  }

  /** The archive as it is made: whoever makes it waits for whoever reads it. */
  async *archiveChanges(
    lower: readonly Mount[],
    upper: readonly Mount[],
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const pipe = createBlobPipe("layer");
    const onAbort = (): void => pipe.fail(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    const made = this.compare(lower, upper, pipe, { mediaType: mediaTypes.ociLayer, signal }).then(
      () => pipe.end(),
      (error: unknown) => pipe.fail(error),
    );
    try {
      yield* pipe.stream();
    } finally {
      signal?.removeEventListener("abort", onAbort);
      // Whoever makes it must not wait for a reader who is gone, and holds a thread until it has noticed.
      pipe.leave();
      await made;
    }
  }

  /** Runs `body` with the trees that the mounts show, and again with the same trees in another form if it cannot do with the first. */
  async #withTrees<T>(
    lower: readonly Mount[],
    upper: readonly Mount[],
    signal: AbortSignal | undefined,
    body: (trees: Trees) => Promise<T>,
  ): Promise<T> {
    const ownership = this.#ownership;
    if (upper.length === 0) throw new CodedError("ERR_INVALID_ARGUMENT", "compare: no mounts of an upper tree");
    // No mounts at all are an empty tree.
    const showLower = (use: (root: string | undefined) => Promise<T>): Promise<T> =>
      lower.length === 0 ? use(undefined) : this.#show(lower, use, signal);
    const target = compareTarget(lower, upper);
    if (target.form === "overlay") {
      try {
        return await showLower((below) => body({ ...target, lower: below, ownership }));
      } catch (error) {
        // The upper directory alone does not tell everything: it points into the lower layers.
        if (!hasCode(error, "ERR_NOT_IMPLEMENTED")) throw error;
      }
    }
    return showLower((below) => this.#show(upper, (above) => body({ upper: above, lower: below, ownership }), signal));
  }

  /** A single directory needs no mount. */
  async #show<T>(
    mounts: readonly Mount[],
    use: (root: string) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const directory = onlyDirectory(mounts);
    return directory === undefined ? this.#trees.show(readOnlyMounts(mounts), use, signal) : use(directory);
  }
}

/** Walks, hashes, compresses and writes at the same time, as fast as the slowest of them. */
async function pack(
  { lane, place }: { readonly lane: Lane; readonly place: Place },
  trees: Trees,
  ingest: LayerIngest,
  options: CompareOptions & { readonly compression: Compression },
): Promise<Packed> {
  const { compression, level, onProgress, signal, sourceDateEpoch } = options;
  await ingest.begin();
  const { blocks, packed } = lane.pack({ trees, sourceDateEpoch, onProgress, signal });
  try {
    for await (const chunk of compress(blocks, { compression, level, reuse: true, signal })) {
      await place.outside(() => ingest.write(chunk));
    }
    return await packed;
  } finally {
    // Whoever compresses need not have waited for its source to end, and until then the lane is not free.
    await blocks.return();
  }
}

async function collect(blocks: AsyncIterable<Uint8Array>): Promise<Buffer[]> {
  const list: Buffer[] = [];
  // A block is memory that is used again.
  for await (const block of blocks) list.push(Buffer.from(block));
  return list;
}
