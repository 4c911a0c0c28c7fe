export { probeOverlay } from "./features.ts";
export type { OverlayFeatures } from "./features.ts";
export { openOverlaySnapshotter } from "./overlay.ts";
export type { OverlaySnapshotterOptions } from "./overlay.ts";
export { checkOverlaySupport } from "./support.ts";
