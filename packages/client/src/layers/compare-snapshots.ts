import type { ComparedLayer } from "@varve/diff";
import type { Stack } from "../stack.ts";
import { withChangedSnapshot } from "./changed-snapshot.ts";
import { layerType } from "./layer-type.ts";
import type { ConsumeChanges, CreateLayerOptions, SnapshotChangeOptions } from "./snapshot-layers.ts";
import { writeCompared } from "./write-compared.ts";
import type { ConsumeLayer } from "./write-compared.ts";
import type { WriteLayerOptions } from "./write-layer.ts";

/** Hands the changes of a snapshot to `consume`. */
export async function readChanges(
  stack: Stack,
  key: string,
  consume: ConsumeChanges,
  options: SnapshotChangeOptions,
): Promise<void> {
  await withChangedSnapshot(stack, key, options, async ({ lower, upper }) => {
    const changes = (await stack.differ.get()).changes(lower, upper, { signal: options.signal });
    try {
      await consume(changes);
    } finally {
      await changes.return(undefined);
    }
  });
}

/** Hands the changes of a snapshot, as a layer, to `consume`. */
export async function writeSnapshotLayer(
  stack: Stack,
  key: string,
  consume: ConsumeLayer,
  options: SnapshotChangeOptions & WriteLayerOptions,
): Promise<ComparedLayer> {
  return withChangedSnapshot(stack, key, options, (mounts) =>
    writeCompared(stack.openDiffer, mounts, consume, options),
  );
}

/** Stores the changes of a snapshot as a layer. */
export async function createSnapshotLayer(
  stack: Stack,
  key: string,
  options: CreateLayerOptions,
): Promise<ComparedLayer> {
  const { compression = "gzip", labels, lease, level, onProgress, signal, sourceDateEpoch } = options;
  return withChangedSnapshot(stack, key, options, async ({ lower, upper }, namespace) => {
    const { content } = lease === undefined ? namespace : stack.namespace.under(lease);
    const differ = await stack.openDiffer(content);
    try {
      const mediaType = layerType(compression);
      return await differ.compare(lower, upper, { mediaType, labels, level, onProgress, signal, sourceDateEpoch });
    } finally {
      await differ.close();
    }
  });
}
