import { CodedError } from "@varve/errors";
import type { ErrorCode } from "@varve/errors";

/**
 * Puts what failed in front of an error and keeps it as the cause. The code stays: a known one as `CodedError`, one of the
 * operating system (`ENOSPC`) on a plain error. Aborts pass as they are.
 */
export function withSubject(error: unknown, subject: string, signal?: AbortSignal): unknown {
  if (signal?.aborted === true && (error === signal.reason || isNamed(error, "AbortError"))) return signal.reason;
  if (isCoded(error)) return new CodedError(error.code, subject, { cause: error });
  const code = codeOf(error);
  if (code === undefined) return new CodedError("ERR_INTERNAL", subject, { cause: error });
  return Object.assign(new Error(subject, { cause: error }), { code });
}

function isNamed(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name;
}

/** By name, not by class: two copies of the package may be installed. */
function isCoded(error: unknown): error is Error & { code: ErrorCode } {
  return isNamed(error, "CodedError") && codeOf(error) !== undefined;
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
