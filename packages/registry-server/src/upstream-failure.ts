import { hasCode } from "@varve/errors";
import { ProtocolError } from "./protocol-error.ts";

/** Whether the upstream answered, and the answer was that there is no such thing. */
export function isGone(error: unknown): boolean {
  return hasCode(error, "ERR_NOT_FOUND");
}

/** What clients are told of a failure of the upstream: its kind, and none of its words. */
export function upstreamFailure(error: unknown): ProtocolError {
  const cause = { cause: error };
  if (isGone(error)) return new ProtocolError("NAME_UNKNOWN", "the upstream registry has no such thing", {}, cause);
  if (hasCode(error, "ERR_UNAUTHENTICATED") || hasCode(error, "ERR_PERMISSION_DENIED")) {
    return new ProtocolError("DENIED", "the upstream registry does not give this registry access", {}, cause);
  }
  if (hasCode(error, "ERR_RATE_LIMITED")) {
    const headers = { "retry-after": "60" };
    return new ProtocolError("TOOMANYREQUESTS", "the upstream registry takes no more requests now", headers, cause);
  }
  if (hasCode(error, "ERR_NOT_IMPLEMENTED")) {
    return new ProtocolError("PATH_UNKNOWN", "the upstream registry cannot do that", {}, cause);
  }
  return new ProtocolError("UPSTREAM", "the upstream registry failed", {}, cause);
}

/** Asks the upstream; its failures become what clients are told. */
export async function asked<T>(question: () => Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await question();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ProtocolError) throw error;
    throw upstreamFailure(error);
  }
}
