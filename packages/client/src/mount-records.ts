import { labelGcRefSnapshotPrefix } from "@varve/content";
import { isOwnerAlive } from "@varve/locks";
import { labelOwner } from "@varve/snapshots";
import type { CallOptions, SnapshotInfo, Snapshotter } from "@varve/snapshots";
import { isElsewhere, mountsAt } from "./mount-table.ts";

/** On the snapshot of a mount: which one of the mounts of this machine it is. Absent until it is mounted. */
export const labelMount = "dev.varve/mount.id";

const prefix = "mount ";

/** The key of the snapshot that stands for what is mounted on a directory. */
export function mountKey(directory: string): string {
  return `${prefix}${directory}`;
}

/** The label by which the snapshot of a mount keeps another that is mounted itself. */
export function labelMounted(snapshotter: string): string {
  return `${labelGcRefSnapshotPrefix}${snapshotter}`;
}

/** Whether the mount of a snapshot, which is not to be seen at its directory, has ended. */
export async function isGone({ labels }: SnapshotInfo): Promise<boolean> {
  const mount = labels[labelMount];
  if (mount !== undefined) return !(await isElsewhere(mount));
  // Somebody may be between the snapshot and the mount at this moment.
  const owner = labels[labelOwner];
  return owner === undefined || !isOwnerAlive(owner);
}

/** A snapshotter and what it is called. */
export interface NamedSnapshotter {
  readonly name: string;
  readonly opened: Snapshotter;
}

/**
 * The directories that snapshots are mounted on or about to be, by whichever process, as far as this store has done it. A mount
 * is listed under the key that stands for it, and under the snapshot that it shows itself, if it shows one.
 */
export async function mountPoints(
  { name, opened }: NamedSnapshotter,
  { signal }: CallOptions,
): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  // Every mount of ours has an owner, which nobody's own snapshot has.
  for await (const info of opened.walk({ filters: [`labels."${labelOwner}"`], signal })) {
    const directory = info.name.startsWith(prefix) ? info.name.slice(prefix.length) : undefined;
    if (directory === undefined || !(await isMounted(info, directory))) continue;
    for (const key of [info.name, info.labels[labelMounted(name)]]) {
      if (key !== undefined) found.set(key, [...(found.get(key) ?? []), directory]);
    }
  }
  return found;
}

async function isMounted(info: SnapshotInfo, directory: string): Promise<boolean> {
  const mounted = await mountsAt(directory);
  const ours = info.labels[labelMount];
  // Without an id, the process was killed right after it had mounted, or before.
  const isThere = ours === undefined ? mounted.length > 0 : mounted.includes(ours);
  return isThere || !(await isGone(info));
}
