export { createImageTagStore } from "./image-tag-store.ts";
export type { ImageTagStoreOptions } from "./image-tag-store.ts";
export { createRegistryServer } from "./server.ts";
export type { ListenOptions, RegistryAddress, RegistryServer, RegistryServerOptions, RequestRecord } from "./server.ts";
export { createMemoryTagStore } from "./tag-store.ts";
export type { TagStore, TagTarget } from "./tag-store.ts";
