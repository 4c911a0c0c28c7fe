export { lie } from "./lie.ts";
export type { Facts } from "./lie.ts";
export { startRawServer } from "./raw-server.ts";
export type { RawAnswer, RawRequest, RawServer } from "./raw-server.ts";
