import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { blobExists } from "@varve/content";
import type { ContentStore } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import type { Applier } from "@varve/diff";
import type { Differ } from "@varve/differ";
import { CodedError, hasCode } from "@varve/errors";
import type { Snapshotter } from "@varve/snapshots";
import { closeAll } from "./close-all.ts";
import { defaultMounter, defaultSnapshotters } from "./default-backends.ts";
import { defaultRoot } from "./default-root.ts";
import { Lazy } from "./lazy.ts";
import { openMountDirectory } from "./mount-directory.ts";
import type { OpenClientOptions } from "./open-client.ts";
import { SnapshotterSet } from "./snapshotter-set.ts";

export interface OpenBackendsOptions extends Pick<OpenClientOptions, "durability"> {
  /** The backends are in `containerd` below it, beside what clients keep there. Default: that of `openClient`. */
  readonly root?: string | undefined;
  /** Which snapshotters are opened. Default: `overlay` and `native`. */
  readonly snapshotters?: readonly string[] | undefined;
}

/**
 * Stores for somebody who keeps records of his own, as a containerd does: they know no namespaces, keep no labels of blobs, and
 * collect nothing. Never give them to two of those: each removes what it does not know.
 */
export interface Backends extends AsyncDisposable {
  /** The directory that has all of it. */
  readonly root: string;
  readonly content: ContentStore;
  readonly snapshotters: Readonly<Record<string, Snapshotter>>;
  /** Why a snapshotter cannot work here, by its name. */
  readonly unusable: Readonly<Record<string, Error>>;
  /** Applies layers that are in `content`. Of others it says ERR_NOT_IMPLEMENTED, so that containerd applies them itself. */
  readonly applier: Applier;
  /** Closes them all. Closing twice is allowed. */
  close(): Promise<void>;
}

/**
 * Opens varve's content store and snapshotters by themselves.
 *
 * @throws ERR_INVALID_ARGUMENT there is no snapshotter of one of the names
 * @throws ERR_NOT_IMPLEMENTED none of the snapshotters can work here
 */
export async function openBackends(options: OpenBackendsOptions = {}): Promise<Backends> {
  const root = join(resolve(options.root ?? defaultRoot()), "containerd");
  const { durability = "full", snapshotters: names = ["overlay", "native"] } = options;
  const ownership = process.geteuid?.() === 0 ? "keep" : "skip";
  const set = new SnapshotterSet(join(root, "snapshots"), defaultSnapshotters({ durability, ownership }));
  for (const name of names) set.mustKnow(name);
  await mkdir(root, { recursive: true, mode: 0o700 });
  const content = await openContentStore({ root: join(root, "content"), durability });
  try {
    const { snapshotters, unusable } = await openEach(set, names);
    const differ = new Lazy(() => openDiffer(root, content));
    const close = once(() =>
      closeAll([() => differ.close((one) => one.close()), () => set.close()], [() => content.close()]),
    );
    const applier = applierOf(content, differ);
    return { root, content, snapshotters, unusable, applier, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await closeAll([() => set.close()], [() => content.close()]).catch(() => undefined);
    throw error;
  }
}

async function openEach(
  set: SnapshotterSet,
  names: readonly string[],
): Promise<Pick<Backends, "snapshotters" | "unusable">> {
  const snapshotters: Record<string, Snapshotter> = {};
  const unusable: Record<string, Error> = {};
  for (const name of names) {
    try {
      snapshotters[name] = await set.get(name);
    } catch (error) {
      if (!hasCode(error, "ERR_NOT_IMPLEMENTED")) throw error;
      unusable[name] = error;
    }
  }
  const [reason] = Object.values(unusable);
  if (reason !== undefined && Object.keys(snapshotters).length === 0) throw reason;
  return { snapshotters, unusable };
}

async function openDiffer(root: string, content: ContentStore): Promise<Differ> {
  const { createDiffer } = await import("@varve/differ");
  const mounter = defaultMounter();
  const mountDirectory = join(root, "mounts");
  await openMountDirectory(mounter, mountDirectory);
  return createDiffer({ content, mounter, mountDirectory });
}

function applierOf(content: ContentStore, differ: Lazy<Differ>): Applier {
  return {
    apply: async (layer, mounts, options = {}) => {
      if (options.source === undefined && !(await blobExists(content, layer.digest, { signal: options.signal }))) {
        throw new CodedError("ERR_NOT_IMPLEMENTED", `layer ${layer.digest}: is not in this content store`);
      }
      return (await differ.get()).apply(layer, mounts, options);
    },
  };
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
}
