export { openMetadata } from "./open.ts";
export type { Metadata, MetadataOptions } from "./open.ts";
