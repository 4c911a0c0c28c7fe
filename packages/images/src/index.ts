export { checkImage } from "./check-image.ts";
export type { ImageCheck } from "./check-image.ts";
export { childrenHandler, childrenOf } from "./children.ts";
export { handlers, skipDescriptor, stopHandlers } from "./control.ts";
export { dispatch } from "./dispatch.ts";
export type { DispatchOptions, HandlerLimiter } from "./dispatch.ts";
export { filterPlatforms, limitManifests } from "./filters.ts";
export type { LimitManifestsOptions } from "./filters.ts";
export type { Handler, HandlerContext } from "./handler.ts";
export type {
  DeleteImageOptions,
  ImageChanges,
  ImageInput,
  ImageRecord,
  ImageStore,
  UpdateImageOptions,
} from "./image-store.ts";
export { imageFilter } from "./image-filter.ts";
export { manifestFor } from "./manifest-for.ts";
export type { ImageManifest } from "./manifest-for.ts";
export { observe } from "./observe.ts";
export type { Observed, ObservedOptions, ObserveOptions } from "./observe.ts";
export type { OnProgress, ProgressEvent, WaitCause } from "./progress.ts";
export { createSummary } from "./summary.ts";
export type { Summary, SummaryOptions } from "./summary.ts";
export type { CriticalPhase, CriticalStep, TransferPhase, TransferSummary } from "./transfer-summary.ts";
export { walk } from "./walk.ts";
export type { WalkOptions } from "./walk.ts";
