export { openNativeSnapshotter } from "./native.ts";
export type { NativeSnapshotterOptions } from "./native.ts";
