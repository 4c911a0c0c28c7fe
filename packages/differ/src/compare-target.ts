import type { Mount } from "@varve/mount";
import { isIdMapped, onlyDirectory, overlayDirectories, splitMountOptions } from "@varve/mount";

/** How two trees are compared. */
export type CompareTarget =
  /** The upper directory of an overlay tells by itself what changed on top of `lower`. */
  | { readonly form: "overlay"; readonly upper: string; readonly userxattr: boolean }
  /** Both trees are walked. */
  | { readonly form: "walk" };

/**
 * Finds the shortest way to compare: when the upper tree is an overlay of one directory on exactly the layers of the lower tree, only
 * that directory is walked (U-TAR.20).
 */
export function compareTarget(lower: readonly Mount[], upper: readonly Mount[]): CompareTarget {
  const above = layersOf(upper);
  const below = layersOf(lower);
  const [top, ...others] = above ?? [];
  if (top === undefined || others.length === 0 || below === undefined) return { form: "walk" };
  const isOnTop = others.length === below.length && others.every((directory, index) => directory === below[index]);
  if (!isOnTop) return { form: "walk" };
  const userxattr = upper.some((mount) => splitMountOptions(mount.options).includes("userxattr"));
  return { form: "overlay", upper: top, userxattr };
}

/** The directories that are stacked, topmost first; `undefined` when the mounts show something that they do not tell. */
function layersOf(mounts: readonly Mount[]): readonly string[] | undefined {
  const single = onlyDirectory(mounts);
  if (single !== undefined) return [single];
  const [mount, ...others] = mounts;
  if (mount?.type !== "overlay" || others.length > 0 || mount.target !== undefined || isIdMapped(mount))
    return undefined;
  const { upper, lower, data } = overlayDirectories(mount);
  // Contents that lie elsewhere are not in the upper directory.
  if (data.length > 0) return undefined;
  return upper === undefined ? lower : [upper, ...lower];
}
