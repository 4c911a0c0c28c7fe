import { CodedError } from "@varve/errors";
import { readOnlyMounts } from "@varve/mount";
import type { Mount } from "@varve/mount";
import type { MountOptions } from "./client.ts";
import { labelMounted, mountPoints } from "./mount-records.ts";
import type { NamedSnapshotter } from "./mount-records.ts";
import type { Stack } from "./stack.ts";
import { topSnapshot } from "./top-snapshot.ts";

/** What is mounted on a directory, by way of the snapshot that stands for the mount and goes with it. */
export interface MountSource {
  readonly start: "prepare" | "view";
  readonly parent?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Gives what is mounted in place of that snapshot, once this is there and keeps it; that is empty then. */
  readonly mounts?: ((directory: string) => Promise<readonly Mount[]>) | undefined;
}

type SourceOptions = MountOptions & { readonly snapshotter: string };

/** A new snapshot on top of the image. */
export async function imageSource(stack: Stack, reference: string, options: SourceOptions): Promise<MountSource> {
  return onTopOf(await topSnapshot(stack, reference, options), options);
}

/**
 * A new snapshot on top of a committed one, and any other itself: it outlives the mount, and is kept as long as that is there.
 *
 * @throws ERR_NOT_FOUND no such snapshot
 * @throws ERR_FAILED_PRECONDITION a view is to be written to, or what is mounted elsewhere
 */
export async function snapshotSource(stack: Stack, key: string, options: SourceOptions): Promise<MountSource> {
  const { signal, snapshotter: name, writable = false } = options;
  const snapshotter = await stack.opened.get(name);
  const { kind } = await snapshotter.stat(key, { signal });
  if (kind === "committed") return onTopOf(key, options);
  if (kind === "view" && writable) {
    throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${key}: is a view, which cannot be written to`);
  }
  return {
    start: "view",
    labels: { [labelMounted(name)]: key },
    mounts: async (directory) => {
      if (writable) await mustBeOnlyMount({ name, opened: snapshotter }, key, { directory, signal });
      const mounts = await snapshotter.mounts(key, { signal });
      return writable ? mounts : readOnlyMounts(mounts);
    },
  };
}

/** Two overlays must not write to one directory: what they then do is undefined. */
async function mustBeOnlyMount(
  snapshotter: NamedSnapshotter,
  key: string,
  { directory, signal }: { readonly directory: string; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const places = (await mountPoints(snapshotter, { signal })).get(key) ?? [];
  const other = places.find((place) => place !== directory);
  if (other === undefined) return;
  throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${key}: is mounted on ${other}, unmount that first`);
}

function onTopOf(parent: string | undefined, { writable }: MountOptions): MountSource {
  return { start: writable === true ? "prepare" : "view", parent };
}
