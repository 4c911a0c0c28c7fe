export type { Mount } from "./mount.ts";
export { filesystemType, splitMountOptions } from "./mount-options.ts";
export type { Mounter, UnmountOptions } from "./mounter.ts";
export { escapeOverlayPath, isOverlayDirectory, overlayDirectories, overlayOptions } from "./overlay-directories.ts";
export type { OverlayDirectories } from "./overlay-directories.ts";
export { isReadOnly, readOnlyMounts, withoutVolatile } from "./read-only.ts";
export { withTemporaryMount } from "./temporary-mount.ts";
export type { TemporaryMountOptions } from "./temporary-mount.ts";
