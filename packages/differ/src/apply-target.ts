import type { Mount } from "@varve/mount";
import { isOverlayDirectory, isReadOnly, overlayDirectories } from "@varve/mount";

/** Where a layer is written, and in which form. */
export type ApplyTarget =
  /** Straight into a directory: lower files are removed. */
  | { readonly form: "directory"; readonly root: string }
  /** Into an overlay's upper directory: lower files are hidden by markers. */
  | { readonly form: "overlay"; readonly root: string; readonly userxattr: boolean }
  /** Through a mount: the kernel turns removals into whatever it needs. */
  | { readonly form: "mount" };

/** Finds the shortest way to write what `mounts` show, so that most layers need no mount at all (U-DIFF.5–7). */
export function applyTarget(mounts: readonly Mount[]): ApplyTarget {
  const [mount, ...others] = mounts;
  if (mount === undefined || others.length > 0 || mount.target !== undefined || isReadOnly(mount)) {
    return { form: "mount" };
  }
  if (mount.type === "bind") return { form: "directory", root: mount.source };
  if (mount.type !== "overlay") return { form: "mount" };
  const { upper } = overlayDirectories(mount);
  return upper === undefined
    ? { form: "mount" }
    : { form: "overlay", root: upper, userxattr: mount.options.includes("userxattr") };
}

/** The overlay without its upper directory: what lies below the layer that is being written. */
export function lowerView(overlay: Mount): readonly Mount[] {
  const { lower } = overlayDirectories(overlay);
  const [only, ...others] = lower;
  if (only !== undefined && others.length === 0) return [{ type: "bind", source: only, options: ["ro", "rbind"] }];
  const layers = overlay.options.filter((option) => !isOverlayDirectory(option) || option.startsWith("lowerdir"));
  return [{ ...overlay, options: layers }];
}
