export { createMemoryContentStore } from "./memory-store.ts";
