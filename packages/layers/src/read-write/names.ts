import type { RWRow } from "./rows.ts";

const changesPrefix = "layers-rw/";
const initPrefix = "layers-init/";

/** The active snapshot that takes the changes. */
export function changesOf({ mountId }: Pick<RWRow, "mountId">): string {
  return changesPrefix + mountId;
}

/** The committed snapshot with what `init` has made. */
export function initOf({ mountId }: Pick<RWRow, "mountId">): string {
  return initPrefix + mountId;
}

/** The mount id in the name of such a snapshot. */
export function mountIdIn(snapshot: string): string | undefined {
  const prefix = [changesPrefix, initPrefix].find((each) => snapshot.startsWith(each));
  return prefix === undefined ? undefined : snapshot.slice(prefix.length);
}

/** The snapshot that the changes stand on. */
export function belowOf(layer: Pick<RWRow, "hasInit" | "mountId" | "parent">): string | undefined {
  return layer.hasInit ? initOf(layer) : layer.parent;
}

/** The lock of all that makes, mounts or removes the read-write layer of a name (S1.40). */
export function rwLockOf(name: string): string {
  return `rw-layer/${name}`;
}
