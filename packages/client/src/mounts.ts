import { labelGcRoot } from "@varve/content";
import { CodedError, hasCode } from "@varve/errors";
import { currentOwner } from "@varve/locks";
import type { Mount } from "@varve/mount";
import { labelOwner } from "@varve/snapshots";
import type { SnapshotInfo, Snapshotter } from "@varve/snapshots";
import type { MountOptions, MountSnapshotOptions, UnmountOptions } from "./client.ts";
import { existingDirectory, resolveLinks } from "./mount-place.ts";
import { isGone, labelMount, mountKey } from "./mount-records.ts";
import type { MountSource } from "./mount-source.ts";
import { imageSource, snapshotSource } from "./mount-source.ts";
import { mountsAt } from "./mount-table.ts";
import type { Stack } from "./stack.ts";

/** Mounts a view of the image, or a writable snapshot on top of it, whose key names the directory. */
export function mountImage(
  stack: Stack,
  reference: string,
  directory: string,
  options: MountOptions = {},
): Promise<void> {
  return mountSource(stack, directory, options, (snapshotter) =>
    imageSource(stack, reference, { ...options, snapshotter }),
  );
}

/** Mounts a snapshot: a committed one as an image, any other one itself. */
export function mountSnapshot(
  stack: Stack,
  key: string,
  directory: string,
  options: MountSnapshotOptions = {},
): Promise<void> {
  return mountSource(stack, directory, options, (snapshotter) =>
    snapshotSource(stack, key, { ...options, snapshotter }),
  );
}

/**
 * Unmounts what is on the directory and throws its snapshot away, whichever snapshotter has it. A mount that was taken off
 * by other means has only its snapshot left, and what others have mounted there since is not ours to touch.
 */
export async function unmountImage(stack: Stack, directory: string, options: UnmountOptions = {}): Promise<void> {
  const place = await resolveLinks(directory);
  await stack.locks.run(mountKey(place), () => unmountFrom(stack, place, options), { signal: options.signal });
}

/** Finds what is to be mounted, given the name of the snapshotter. */
type FindSource = (snapshotter: string) => Promise<MountSource>;

async function mountSource(
  stack: Stack,
  directory: string,
  options: MountSnapshotOptions,
  findSource: FindSource,
): Promise<void> {
  const { signal, snapshotter = stack.defaultSnapshotter } = options;
  const place = await existingDirectory(directory);
  const mountIt = async (): Promise<void> => {
    const opened = await stack.opened.get(snapshotter);
    const source = await findSource(snapshotter);
    if ((await mountsAt(place)).length > 0) throw alreadyMounted(place);
    await mountOn(stack, opened, { place, source, signal });
  };
  await stack.locks.run(mountKey(place), mountIt, { signal });
}

interface MountTask {
  readonly place: string;
  readonly source: MountSource;
  readonly signal: AbortSignal | undefined;
}

async function mountOn(stack: Stack, snapshotter: Snapshotter, task: MountTask): Promise<void> {
  const { place, source, signal } = task;
  const ownMounts = await startSnapshot(snapshotter, task);
  let isMounted = false;
  try {
    await stack.mounter.mount((await source.mounts?.(place)) ?? ownMounts, place, { signal });
    isMounted = true;
    const mounted = (await mountsAt(place)).at(-1);
    await snapshotter.update(mountKey(place), { [labelMount]: mounted });
  } catch (error) {
    // The error that matters is the one we have; what cannot be undone is found by the next mount or unmount.
    await undo(stack, snapshotter, { place, isMounted }).catch(() => undefined);
    throw error;
  }
}

async function undo(
  stack: Stack,
  snapshotter: Snapshotter,
  { place, isMounted }: { readonly place: string; readonly isMounted: boolean },
): Promise<void> {
  // What is there if the mounting failed is somebody else's.
  if (isMounted) await stack.mounter.unmount(place);
  await snapshotter.remove(mountKey(place));
}

/** The snapshot of a mount that is gone, because its process was killed or because somebody took it off, is replaced. */
async function startSnapshot(
  snapshotter: Snapshotter,
  { place, signal, source: { start, parent, labels } }: MountTask,
): Promise<readonly Mount[]> {
  const key = mountKey(place);
  const own = { [labelOwner]: currentOwner(), [labelGcRoot]: new Date().toISOString() };
  const options = { labels: { ...labels, ...own }, signal };
  try {
    return await snapshotter[start](key, parent, options);
  } catch (error) {
    if (!hasCode(error, "ERR_ALREADY_EXISTS")) throw error;
    const record = await find(snapshotter, key, signal);
    if (record !== undefined && !(await isGone(record))) throw alreadyMounted(place, error);
  }
  await removeIfThere(snapshotter, key);
  return snapshotter[start](key, parent, options);
}

async function unmountFrom(stack: Stack, place: string, options: UnmountOptions): Promise<void> {
  const key = mountKey(place);
  let found = false;
  for (const name of await stack.snapshotters.used()) {
    const snapshotter = await openIfPossible(stack, name);
    const record = snapshotter === undefined ? undefined : await find(snapshotter, key, options.signal);
    if (snapshotter === undefined || record === undefined) continue;
    found = true;
    await takeOff(stack, place, record.labels[labelMount], options);
    await removeIfThere(snapshotter, key);
  }
  if (!found) throw new CodedError("ERR_NOT_FOUND", `mount ${place}: no image of this store is mounted there`);
}

async function takeOff(stack: Stack, place: string, ours: string | undefined, options: UnmountOptions): Promise<void> {
  const mounted = await mountsAt(place);
  // Without an id, the process was killed right after it had mounted.
  if (ours === undefined || mounted.at(-1) === ours) {
    await stack.mounter.unmount(place, options);
  } else if (mounted.includes(ours)) {
    const message = `mount ${place}: something else was mounted over the image, take that off first`;
    throw new CodedError("ERR_FAILED_PRECONDITION", message);
  }
}

function alreadyMounted(place: string, cause?: unknown): CodedError {
  const options = cause === undefined ? {} : { cause };
  return new CodedError("ERR_ALREADY_EXISTS", `mount ${place}: something is mounted there already`, options);
}

async function find(
  snapshotter: Snapshotter,
  key: string,
  signal: AbortSignal | undefined,
): Promise<SnapshotInfo | undefined> {
  try {
    return await snapshotter.stat(key, { signal });
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return undefined;
    throw error;
  }
}

async function removeIfThere(snapshotter: Snapshotter, key: string): Promise<void> {
  try {
    await snapshotter.remove(key);
  } catch (error) {
    if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
  }
}

/** A snapshotter that cannot run here has mounted nothing either. */
async function openIfPossible(stack: Stack, name: string): Promise<Snapshotter | undefined> {
  try {
    return await stack.opened.get(name);
  } catch (error) {
    if (hasCode(error, "ERR_NOT_IMPLEMENTED")) return undefined;
    throw error;
  }
}
