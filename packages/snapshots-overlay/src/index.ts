export { openOverlaySnapshotter } from "./overlay.ts";
export type { OverlaySnapshotterOptions } from "./overlay.ts";
export { checkOverlaySupport } from "./support.ts";
