import type { Call } from "./call.ts";
import { ProtocolError } from "./protocol-error.ts";

/** Whether `If-Match` or `If-None-Match` names `etag` (RFC 9110, section 13.1); `undefined`: there is no such thing. */
export function isMet(condition: string, etag: string | undefined): boolean {
  if (etag === undefined) return false;
  if (condition.trim() === "*") return true;
  return condition.split(",").some((part) => part.trim().replace(/^W\//, "") === etag);
}

/** @throws ProtocolError CHANGED what a client wants to replace is not what it thinks it is */
export function mustMatch(call: Call, current: string | undefined): void {
  const [match, noneMatch] = [call.header("if-match"), call.header("if-none-match")];
  if (match !== undefined && !isMet(match, current)) {
    throw new ProtocolError("CHANGED", "the tag stands for something else than If-Match says");
  }
  if (noneMatch !== undefined && isMet(noneMatch, current)) {
    throw new ProtocolError("CHANGED", "the tag stands for what If-None-Match says");
  }
}

export function etagOf(digest: string): string {
  return `"${digest}"`;
}
