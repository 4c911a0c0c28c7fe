export { putBytes, putImage, putIndex, putJson } from "./images.ts";
export type { Files } from "./images.ts";
export { startRegistry } from "./registry.ts";
export type { TestRegistry } from "./registry.ts";
