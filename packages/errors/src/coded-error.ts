/**
 * Why an operation failed. Callers branch on the code, never on the message.
 *
 * The list is closed: containerd's error classes (errdefs), and four of our own at the end.
 * Errors of the operating system keep their own codes (`ENOSPC`, `EIO`), aborts keep the signal's reason.
 */
export type ErrorCode =
  /** An argument has a wrong form or value; the same call can never succeed. */
  | "ERR_INVALID_ARGUMENT"
  | "ERR_NOT_FOUND"
  | "ERR_ALREADY_EXISTS"
  /** The object is in the wrong state: a parent that is not committed, a snapshot that has children. */
  | "ERR_FAILED_PRECONDITION"
  /** Somebody else holds what is needed: a ref lock, a busy store. Try again. */
  | "ERR_UNAVAILABLE"
  /** Not supported here: a media type, a platform, a digest algorithm, a kernel feature. */
  | "ERR_NOT_IMPLEMENTED"
  /** The caller is known and not allowed. */
  | "ERR_PERMISSION_DENIED"
  /** Credentials are missing or wrong. */
  | "ERR_UNAUTHENTICATED"
  /** A named limit was reached. */
  | "ERR_RESOURCE_EXHAUSTED"
  | "ERR_OUT_OF_RANGE"
  /** The work was given up by another party: an ingest aborted while it was followed. */
  | "ERR_ABORTED"
  /** No progress within the time allowed. Try again. */
  | "ERR_DEADLINE_EXCEEDED"
  /** Stored bytes are damaged or gone. */
  | "ERR_DATA_LOSS"
  /** A defect of varve. */
  | "ERR_INTERNAL"
  /** Bytes are not what their digest or size says. */
  | "ERR_DIGEST_MISMATCH"
  /** Bytes from outside are malformed, truncated or hostile: a broken gzip, a tar entry that leaves the root. */
  | "ERR_INVALID_DATA"
  /** The other side could not be reached or broke off, after all retries. Try again. */
  | "ERR_NETWORK"
  /** The registry asked us to come back later. Try again. */
  | "ERR_RATE_LIMITED";

/** The one error class of varve. */
export class CodedError extends Error {
  readonly code: ErrorCode;
  /** @param message subject first, lower case, no full stop: `snapshot a: parent b: not found` */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CodedError";
    this.code = code;
  }
}

/** Tests by `code`, not by class, so it holds when two copies of this package are installed. */
export function hasCode(error: unknown, code: ErrorCode): error is Error & { code: ErrorCode } {
  return error instanceof Error && "code" in error && error.code === code;
}

const transient: ReadonlySet<unknown> = new Set<ErrorCode>([
  "ERR_UNAVAILABLE",
  "ERR_DEADLINE_EXCEEDED",
  "ERR_NETWORK",
  "ERR_RATE_LIMITED",
]);

/** Whether the same call may succeed later with nothing changed on this side. */
export function isTransient(error: unknown): boolean {
  return error instanceof Error && "code" in error && transient.has(error.code);
}

/** One line for people: the message, then each cause that says something new. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  let current: unknown = error;
  for (let depth = 0; current !== undefined && current !== null && depth < 8; depth += 1) {
    const text = textOf(current);
    if (!parts.some((part) => part.includes(text))) parts.push(text);
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts.join(": ").replaceAll(/\s*\n\s*/g, " ");
}

function textOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message || thrown.name;
  return typeof thrown === "string" ? thrown : (JSON.stringify(thrown) ?? typeof thrown);
}
