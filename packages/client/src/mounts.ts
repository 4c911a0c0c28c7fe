import { realpath } from "node:fs/promises";
import { chainId } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import { manifestFor } from "@varve/images";
import { onlyPlatform } from "@varve/oci";
import { formatReference, parseReference } from "@varve/reference";
import type { Snapshotter } from "@varve/snapshots";
import type { MountOptions, UnmountOptions } from "./client.ts";
import { platformOf } from "./pull.ts";
import type { Stack } from "./stack.ts";

/** Mounts a view of the image, or a writable snapshot on top of it, whose key names the directory. */
export async function mountImage(
  stack: Stack,
  reference: string,
  directory: string,
  options: MountOptions = {},
): Promise<void> {
  const { signal, writable = false } = options;
  const key = mountKey(await resolveDirectory(directory));
  const snapshotter = await stack.snapshotters.get(options.snapshotter ?? stack.defaultSnapshotter);
  const parent = await topSnapshot(stack, reference, options);
  const start = writable ? snapshotter.prepare.bind(snapshotter) : snapshotter.view.bind(snapshotter);
  await mustBeUnpacked(snapshotter, reference, parent);
  const mounts = await start(key, parent, { signal }).catch((error: unknown) => {
    throw hasCode(error, "ERR_ALREADY_EXISTS")
      ? new CodedError("ERR_ALREADY_EXISTS", `mount ${directory}: an image is mounted there already`, { cause: error })
      : error;
  });
  try {
    await stack.mounter.mount(mounts, directory, { signal });
  } catch (error) {
    await snapshotter.remove(key);
    throw error;
  }
}

/** Unmounts what is on the directory and throws its snapshot away, whichever snapshotter has it. */
export async function unmountImage(stack: Stack, directory: string, options: UnmountOptions = {}): Promise<void> {
  const { lazy, signal } = options;
  const key = mountKey(await resolveDirectory(directory));
  for (const name of stack.snapshotters.names()) {
    const snapshotter = await openIfThere(stack, name);
    const isHere = await snapshotter?.stat(key, { signal }).catch((error: unknown) => {
      if (hasCode(error, "ERR_NOT_FOUND")) return undefined;
      throw error;
    });
    if (snapshotter === undefined || isHere === undefined) continue;
    await stack.mounter.unmount(directory, { lazy, signal });
    await snapshotter.remove(key);
    return;
  }
  throw new CodedError("ERR_NOT_FOUND", `mount ${directory}: no image is mounted there`);
}

function mountKey(directory: string): string {
  return `mount ${directory}`;
}

async function resolveDirectory(directory: string): Promise<string> {
  try {
    return await realpath(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new CodedError("ERR_NOT_FOUND", `mount ${directory}: no such directory`, { cause: error });
  }
}

async function topSnapshot(stack: Stack, reference: string, options: MountOptions): Promise<string | undefined> {
  const { signal } = options;
  const name = formatReference(parseReference(reference));
  const image = await stack.metadata.images.get(name, { signal });
  const matcher = onlyPlatform(platformOf(options.platform));
  const { config } = await manifestFor(stack.metadata.content, image.target, matcher, { signal });
  if (config === undefined) {
    throw new CodedError("ERR_NOT_IMPLEMENTED", `image ${name}: is an artifact, there is nothing to mount`);
  }
  return chainId(config.rootfs.diff_ids) || undefined;
}

async function mustBeUnpacked(snapshotter: Snapshotter, reference: string, top: string | undefined): Promise<void> {
  if (top === undefined) return;
  try {
    await snapshotter.stat(top);
  } catch (error) {
    if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
    const message = `image ${reference}: not unpacked by this snapshotter, pull it first`;
    throw new CodedError("ERR_NOT_FOUND", message, { cause: error });
  }
}

/** A snapshotter that cannot run here has mounted nothing either. */
async function openIfThere(stack: Stack, name: string): Promise<Snapshotter | undefined> {
  try {
    return await stack.snapshotters.get(name);
  } catch (error) {
    if (hasCode(error, "ERR_NOT_IMPLEMENTED")) return undefined;
    throw error;
  }
}
