import { realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { labelGcRoot } from "@varve/content";
import { CodedError, hasCode } from "@varve/errors";
import { currentOwner, isOwnerAlive } from "@varve/locks";
import { labelOwner } from "@varve/snapshots";
import type { SnapshotInfo, Snapshotter } from "@varve/snapshots";
import type { MountOptions, UnmountOptions } from "./client.ts";
import { isElsewhere, mountsAt } from "./mount-table.ts";
import type { Stack } from "./stack.ts";
import { topSnapshot } from "./top-snapshot.ts";

/** On the snapshot of a mount: which one of the mounts of this machine it is. Absent until it is mounted. */
const labelMount = "dev.varve/mount.id";

/** Mounts a view of the image, or a writable snapshot on top of it, whose key names the directory. */
export async function mountImage(
  stack: Stack,
  reference: string,
  directory: string,
  options: MountOptions = {},
): Promise<void> {
  const place = await existingDirectory(directory);
  const key = mountKey(place);
  await stack.locks.run(key, () => mountOn(stack, reference, place, options), { signal: options.signal });
}

/**
 * Unmounts what is on the directory and throws its snapshot away, whichever snapshotter has it. A mount that was taken off
 * by other means has only its snapshot left, and what others have mounted there since is not ours to touch.
 */
export async function unmountImage(stack: Stack, directory: string, options: UnmountOptions = {}): Promise<void> {
  const place = await resolveLinks(directory);
  await stack.locks.run(mountKey(place), () => unmountFrom(stack, place, options), { signal: options.signal });
}

async function mountOn(stack: Stack, reference: string, place: string, options: MountOptions): Promise<void> {
  const { signal } = options;
  const name = options.snapshotter ?? stack.defaultSnapshotter;
  const snapshotter = await stack.opened.get(name);
  const parent = await topSnapshot(stack, reference, { ...options, snapshotter: name });
  if ((await mountsAt(place)).length > 0) throw alreadyMounted(place);
  const start = options.writable === true ? "prepare" : "view";
  const mounts = await startSnapshot(snapshotter, start, place, parent, signal);
  try {
    await stack.mounter.mount(mounts, place, { signal });
    const mounted = (await mountsAt(place)).at(-1);
    await snapshotter.update(mountKey(place), { [labelMount]: mounted });
  } catch (error) {
    // The error that matters is the one we have; what cannot be undone is found by the next mount or unmount.
    await undo(stack, snapshotter, place).catch(() => undefined);
    throw error;
  }
}

async function undo(stack: Stack, snapshotter: Snapshotter, place: string): Promise<void> {
  // Nothing was mounted here before us.
  await stack.mounter.unmount(place);
  await snapshotter.remove(mountKey(place));
}

/** The snapshot of a mount that is gone, because its process was killed or because somebody took it off, is replaced. */
async function startSnapshot(
  snapshotter: Snapshotter,
  start: "prepare" | "view",
  place: string,
  parent: string | undefined,
  signal: AbortSignal | undefined,
): ReturnType<Snapshotter["view"]> {
  const key = mountKey(place);
  const options = { labels: { [labelOwner]: currentOwner(), [labelGcRoot]: new Date().toISOString() }, signal };
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

/** Whether the mount of a snapshot, which is not to be seen at its directory, has ended. */
async function isGone({ labels }: SnapshotInfo): Promise<boolean> {
  const mount = labels[labelMount];
  if (mount !== undefined) return !(await isElsewhere(mount));
  // Somebody may be between the snapshot and the mount at this moment.
  const owner = labels[labelOwner];
  return owner === undefined || !isOwnerAlive(owner);
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

function mountKey(directory: string): string {
  return `mount ${directory}`;
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

async function existingDirectory(directory: string): Promise<string> {
  try {
    const place = await realpath(directory);
    if ((await stat(place)).isDirectory()) return place;
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new CodedError("ERR_NOT_FOUND", `mount ${directory}: no such directory`, { cause: error });
  }
  throw new CodedError("ERR_INVALID_ARGUMENT", `mount ${directory}: not a directory`);
}

/** The path without links, as far as it exists: a directory may be removed after its mount was taken off by hand. */
async function resolveLinks(directory: string): Promise<string> {
  const missing: string[] = [];
  for (let path = resolve(directory); ; path = dirname(path)) {
    try {
      return join(await realpath(path), ...missing);
    } catch (error) {
      if (!isMissing(error)) throw error;
      missing.unshift(basename(path));
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
