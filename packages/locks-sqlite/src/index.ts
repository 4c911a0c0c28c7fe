export { openSharedLocks } from "./shared-locks.ts";
export type { SharedLocks, SharedLocksOptions } from "./shared-locks.ts";
