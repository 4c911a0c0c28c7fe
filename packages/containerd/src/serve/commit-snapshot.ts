import { CodedError, hasCode } from "@varve/errors";
import { canRebase } from "@varve/snapshots";
import type { Snapshotter } from "@varve/snapshots";

export interface CommitRequest {
  readonly name: string;
  readonly key: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Empty: that which it was prepared on. */
  readonly parent: string;
}

/** Commits a snapshot, on another parent than it was prepared on if that is asked for, as containerd 2.2 does. */
export async function commitSnapshot(
  snapshotter: Snapshotter,
  { name, key, labels, parent }: CommitRequest,
  signal: AbortSignal,
): Promise<void> {
  if (parent !== "") await putOn(snapshotter, { name, key, parent }, signal);
  await snapshotter.commit(name, key, { labels, signal });
}

async function putOn(
  snapshotter: Snapshotter,
  { name, key, parent }: Omit<CommitRequest, "labels">,
  signal: AbortSignal,
): Promise<void> {
  const { parent: own } = await snapshotter.stat(key, { signal });
  if (own === parent) return;
  if (!canRebase(snapshotter)) {
    throw new CodedError("ERR_NOT_IMPLEMENTED", `snapshot ${key}: cannot be put on another parent by this snapshotter`);
  }
  // Before anything changes: a commit that is refused leaves the snapshot as it was.
  await mustBeFree(snapshotter, name, signal);
  await snapshotter.rebase(key, parent, { volatile: true, signal });
}

async function mustBeFree(snapshotter: Snapshotter, name: string, signal: AbortSignal): Promise<void> {
  if (name === "") throw new CodedError("ERR_INVALID_ARGUMENT", "snapshot: its name is empty");
  try {
    await snapshotter.stat(name, { signal });
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return;
    throw error;
  }
  throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${name}: already exists`);
}
