import type { Mount } from "./mount.ts";
import { filesystemType, splitMountOptions } from "./mount-options.ts";
import { isOverlayDirectory, overlayDirectories, overlayOptions } from "./overlay-directories.ts";

/**
 * Whether nothing can be written through the mount: `erofs`, an overlay without an upper directory, or the option
 * `ro` (the last of `ro` and `rw` counts).
 */
export function isReadOnly(mount: Mount): boolean {
  const type = filesystemType(mount);
  if (type === "erofs") return true;
  if (splitMountOptions(mount.options).findLast((option) => option === "ro" || option === "rw") === "ro") return true;
  return type === "overlay" && overlayDirectories(mount).upper === undefined;
}

/**
 * The same tree for reading only. An overlay's upper directory becomes its topmost lower one, so the overlay can be
 * mounted while another mount writes to none of it; everything else gets `ro`.
 */
export function readOnlyMounts(mounts: readonly Mount[]): readonly Mount[] {
  return mounts.map((mount) => (filesystemType(mount) === "overlay" ? readOnlyOverlay(mount) : withReadOnly(mount)));
}

/**
 * The mounts without the overlay option `volatile`, with which the kernel refuses to mount a directory again until
 * somebody has cleaned up.
 */
export function withoutVolatile(mounts: readonly Mount[]): readonly Mount[] {
  return mounts.map((mount) => {
    if (filesystemType(mount) !== "overlay") return mount;
    return { ...mount, options: splitMountOptions(mount.options).filter((option) => !isVolatile(option)) };
  });
}

function withReadOnly(mount: Mount): Mount {
  const kept = splitMountOptions(mount.options).filter((option) => option !== "ro" && option !== "rw");
  return { ...mount, options: [...kept, "ro"] };
}

function readOnlyOverlay(mount: Mount): Mount {
  const { upper, lower, data } = overlayDirectories(mount);
  if (upper === undefined) return mount;
  const kept = splitMountOptions(mount.options).filter(
    (option) => !isOverlayDirectory(option) && !isVolatile(option) && option !== "rw",
  );
  return { ...mount, options: [...kept, ...overlayOptions({ lower: [upper, ...lower], data })] };
}

function isVolatile(option: string): boolean {
  return option === "volatile";
}
