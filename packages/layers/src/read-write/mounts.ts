import { mkdir, readdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { CodedError, hasCode } from "@varve/errors";
import { withoutVolatile } from "@varve/mount";
import type { Session } from "@varve/sqlite";
import type { CallOptions } from "../layer-store.ts";
import { changesOf, rwLockOf } from "./names.ts";
import { livingMounts, mountsOfLayer, mountsOfReference, rwNameOf, setMounts } from "./rows.ts";
import type { ReferredRW, RWRow } from "./rows.ts";
import { isMissing, takeOffRW } from "./take-off.ts";
import { mustNotBeElsewhere } from "./unmounted.ts";
import type { StoreParts } from "../store-parts.ts";

/** Somebody works in it (ERR_UNAVAILABLE, EBUSY), it is another user's (the next three), or it holds files and is not what it seems. */
const leaves: ReadonlySet<unknown> = new Set([
  "ERR_UNAVAILABLE",
  "EBUSY",
  "ERR_PERMISSION_DENIED",
  "EPERM",
  "EACCES",
  "ENOTEMPTY",
]);

/** Counts one mount more for a reference, and mounts the layer if it is the first of all. */
export async function mountRW(parts: StoreParts, referred: ReferredRW, options: CallOptions): Promise<string> {
  const { layer, reference } = referred;
  const { database, locks } = parts;
  const mount = async (): Promise<string> => {
    const before = await database.note((session) => {
      const all = mountsOfLayer(session, layer.mountId);
      setMounts(session, reference, ownMounts(session, referred) + 1);
      return all;
    }, options.signal);
    try {
      if (before === 0) await mustNotBeElsewhere(parts, layer, options);
      const directory = await mountPoint(parts, layer.mountId);
      if (before === 0) await mountAnew(parts, referred, directory, options);
      return directory;
    } catch (error) {
      await database.freeSoon((session) => setMounts(session, reference, ownMounts(session, referred) - 1));
      throw error;
    }
  };
  return locks.run(rwLockOf(layer.name), mount, options);
}

/** Takes back one mount of a reference, or all that it has; the last of all references takes the layer's mount off. */
export async function unmountRW(
  parts: StoreParts,
  referred: ReferredRW,
  which: "all" | "one",
  options: CallOptions,
): Promise<void> {
  const { layer, reference } = referred;
  const { database, locks } = parts;
  const unmount = async (): Promise<void> => {
    // Counted before it is done: what is mounted and not counted does no harm, what is counted and not mounted does.
    const { own, rest } = await database.freeSoon((session) => {
      const before = mountsOfReference(session, reference) ?? 0;
      if (before > 0) setMounts(session, reference, which === "one" ? before - 1 : 0);
      return { own: before, rest: mountsOfLayer(session, layer.mountId) };
    }, options.signal);
    if (own === 0 && which === "one") {
      const why = "is not mounted by this reference";
      throw new CodedError("ERR_FAILED_PRECONDITION", `read-write layer ${layer.name}: ${why}`);
    }
    if (own === 0 || rest > 0) return;
    try {
      await takeOffRW(parts, layer.mountId, options);
    } catch (error) {
      await database.freeSoon((session) => setMounts(session, reference, own));
      throw error;
    }
  };
  await locks.run(rwLockOf(layer.name), unmount, options);
}

/** Where living processes have a layer mounted, as far as they count. */
export async function mountOf(
  { database, mountRoot }: StoreParts,
  { mountId }: RWRow,
  { signal }: CallOptions,
): Promise<string | undefined> {
  const isMounted = await database.read((session) => livingMounts(session, mountId) > 0, signal);
  if (!isMounted) return undefined;
  try {
    return await realpath(join(mountRoot, mountId));
  } catch (error) {
    if (!isMissing(error)) throw error;
    // A mount is counted before it is made.
    return undefined;
  }
}

/** Takes off what is mounted and counted by nobody; what is busy stays. */
export async function takeOffIdle(parts: StoreParts, options: CallOptions): Promise<void> {
  const { database, locks, mountRoot } = parts;
  for (const mountId of await namesIn(mountRoot)) {
    const takeOff = async (): Promise<void> => {
      const counted = await database.free((session) => mountsOfLayer(session, mountId), options.signal);
      if (counted === 0) await takeOffRW(parts, mountId, options);
    };
    const name = await database.read((session) => rwNameOf(session, mountId), options.signal);
    // Without a record nobody can mount it any more.
    await unlessBusy(() => (name === undefined ? takeOff() : locks.run(rwLockOf(name), takeOff, options)));
  }
}

/** Clean-up that others stand in the way of is left to the next one. */
export async function unlessBusy(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!leaves.has(codeOf(error))) throw error;
  }
}

/** Nobody has it mounted, as far as is counted, but a process that has died may have. */
async function mountAnew(
  { mounter, snapshotter }: StoreParts,
  { layer }: ReferredRW,
  directory: string,
  options: CallOptions,
): Promise<void> {
  try {
    await mounter.unmount(directory, options);
  } catch (error) {
    // Somebody works in it; it shows the same files as a new one would.
    if (hasCode(error, "ERR_UNAVAILABLE")) return;
    throw error;
  }
  const mounts = await snapshotter.mounts(changesOf(layer), options);
  await mounter.mount(withoutVolatile(mounts), directory, options);
}

/** A mounter follows no links, and the root of the store may lie behind some. */
async function mountPoint({ mountRoot }: StoreParts, mountId: string): Promise<string> {
  await mkdir(mountRoot, { recursive: true, mode: 0o700 });
  const directory = join(await realpath(mountRoot), mountId);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return directory;
}

function ownMounts(session: Session, { layer, reference }: ReferredRW): number {
  const mounts = mountsOfReference(session, reference);
  if (mounts !== undefined) return mounts;
  throw new CodedError("ERR_NOT_FOUND", `read-write layer ${layer.name}: was removed`);
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
