import { CodedError, hasCode } from "@varve/errors";
import type { Mount } from "@varve/mount";
import { canPrepareLayers, labelTarget } from "@varve/snapshots";
import type { CreateOptions, LayerPreparer, LayerRequest, Snapshotter } from "@varve/snapshots";
import { committedLayer } from "./committed-layer.ts";

/** What is asked for, as it comes: no parent is the empty text. */
export interface NewSnapshotRequest {
  readonly key: string;
  readonly parent: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface PrepareOptions {
  readonly signal: AbortSignal;
  /** Whether a layer that is there is not made again. */
  readonly share: boolean;
}

/** Makes an active snapshot. What is to become a layer is not made if there is one of it already (P-SN.4). */
export async function prepareSnapshot(
  snapshotter: Snapshotter,
  { key, parent: parentName, labels }: NewSnapshotRequest,
  { signal, share }: PrepareOptions,
): Promise<readonly Mount[]> {
  const [parent, options] = [parentName || undefined, { labels, signal }];
  const target = Object.hasOwn(labels, labelTarget) ? labels[labelTarget] : undefined;
  return withParent(async () => {
    if (target === undefined || target === "") return snapshotter.prepare(key, parent, options);
    if (canPrepareLayers(snapshotter)) return prepareLayer(snapshotter, { key, parent, target }, options);
    const name = share ? await committedLayer(snapshotter, { parent, target }, signal) : undefined;
    if (name === undefined) return snapshotter.prepare(key, parent, options);
    throw alreadyThere(name);
  });
}

export async function viewSnapshot(
  snapshotter: Snapshotter,
  { key, parent, labels }: NewSnapshotRequest,
  signal: AbortSignal,
): Promise<readonly Mount[]> {
  return withParent(() => snapshotter.view(key, parent || undefined, { labels, signal }));
}

async function prepareLayer(
  snapshotter: Snapshotter & LayerPreparer,
  request: LayerRequest,
  options: CreateOptions,
): Promise<readonly Mount[]> {
  const made = await snapshotter.prepareLayer(request, options);
  if (made.state !== "committed") return made.mounts;
  // containerd looks for it by that label and by its parent, and fails if it finds nothing.
  const { labels, parent } = await snapshotter.stat(made.name, options);
  if (parent !== request.parent) {
    throw new CodedError("ERR_INTERNAL", `snapshot ${made.name}: is not on the parent that was asked for`);
  }
  if (labels[labelTarget] !== request.target) {
    await snapshotter.update(made.name, { [labelTarget]: request.target }, { signal: options.signal });
  }
  throw alreadyThere(made.name);
}

function alreadyThere(name: string): CodedError {
  return new CodedError("ERR_ALREADY_EXISTS", `snapshot ${name}: already exists`);
}

/** For containerd a parent that is not committed is an invalid argument, which is the one state that is asked for here (6.2). */
async function withParent<T>(create: () => Promise<T>): Promise<T> {
  try {
    return await create();
  } catch (error) {
    if (!hasCode(error, "ERR_FAILED_PRECONDITION")) throw error;
    throw new CodedError("ERR_INVALID_ARGUMENT", error.message, { cause: error });
  }
}
