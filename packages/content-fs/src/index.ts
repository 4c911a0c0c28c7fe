export type { Durability } from "./durability.ts";
export { openContentStore } from "./open.ts";
export type { ContentStoreOptions } from "./open.ts";
