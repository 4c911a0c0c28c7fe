export { childLabels, fetchHandler, labelChildrenHandler, labelDistributionSource } from "./handlers.ts";
export { fetchBlob } from "./fetch-blob.ts";
export type { FetchBlobOptions, FetchBlobResult } from "./fetch-blob.ts";
export { pushBlob, pushHandler, pushImage } from "./push.ts";
export type { PushBlobOptions, PushImageOptions } from "./push.ts";
export { refKey } from "./ref-key.ts";
export type { FetchOptions, Fetcher, PushOptions, Pusher, Resolved, Resolver } from "./resolver.ts";
