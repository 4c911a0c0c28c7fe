export { createMemoryContentStore } from "./memory-store.ts";
export type { MemoryContentStoreOptions } from "./memory-store.ts";
