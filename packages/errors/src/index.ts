export { CodedError, describeError, hasCode, isTransient } from "./coded-error.ts";
export type { ErrorCode } from "./coded-error.ts";
