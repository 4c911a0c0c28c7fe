import { Code, ConnectError } from "@connectrpc/connect";
import { CodedError, describeError } from "@varve/errors";
import type { ErrorCode } from "@varve/errors";

declare global {
  /** Connect's declarations name this type of the DOM, which Node has without the name. */
  type HeadersInit = NonNullable<ConstructorParameters<typeof Headers>[0]>;
}

/** https://github.com/containerd/errdefs: its classes and gRPC's numbers for them; the last ones are our finer codes. */
const codes: Readonly<Record<ErrorCode, Code>> = {
  ERR_INVALID_ARGUMENT: Code.InvalidArgument,
  ERR_NOT_FOUND: Code.NotFound,
  ERR_ALREADY_EXISTS: Code.AlreadyExists,
  ERR_FAILED_PRECONDITION: Code.FailedPrecondition,
  ERR_UNAVAILABLE: Code.Unavailable,
  ERR_NOT_IMPLEMENTED: Code.Unimplemented,
  ERR_PERMISSION_DENIED: Code.PermissionDenied,
  ERR_UNAUTHENTICATED: Code.Unauthenticated,
  ERR_RESOURCE_EXHAUSTED: Code.ResourceExhausted,
  ERR_OUT_OF_RANGE: Code.OutOfRange,
  ERR_ABORTED: Code.Aborted,
  ERR_DEADLINE_EXCEEDED: Code.DeadlineExceeded,
  ERR_DATA_LOSS: Code.DataLoss,
  ERR_INTERNAL: Code.Internal,
  ERR_DIGEST_MISMATCH: Code.FailedPrecondition,
  ERR_INVALID_DATA: Code.InvalidArgument,
  ERR_NETWORK: Code.Unavailable,
  ERR_RATE_LIMITED: Code.Unavailable,
};

const classes: ReadonlyMap<Code, ErrorCode> = new Map(
  Object.keys(codes)
    .filter(isOurs)
    .toReversed()
    .map((name) => [codes[name], name]),
);

/** Errors of the system that Go tells by their texts only. */
const systemTexts: ReadonlyMap<string, string> = new Map([
  ["no space left on device", "ENOSPC"],
  ["disk quota exceeded", "EDQUOT"],
  ["input/output error", "EIO"],
  ["read-only file system", "EROFS"],
  ["too many open files", "EMFILE"],
  ["device or resource busy", "EBUSY"],
  ["operation not permitted", "EPERM"],
  ["permission denied", "EACCES"],
  ["no such file or directory", "ENOENT"],
]);

/** What a caller over gRPC gets for what was thrown. Errors of the system have no class: their text is what there is. */
export function toStatus(error: unknown, signal?: AbortSignal): ConnectError {
  if (error instanceof ConnectError) return error;
  const code = codeOf(error);
  // With its client gone, a stream fails in whichever way Node's finds out first.
  const isGone = error === signal?.reason || /^ERR_(HTTP2|STREAM)_/.test(code ?? "");
  if (signal?.aborted === true && isGone) return new ConnectError("canceled", Code.Canceled);
  const status = (code !== undefined && isOurs(code) ? codes[code] : undefined) ?? Code.Unknown;
  return new ConnectError(describeError(error), status);
}

/** Whether the one who called could not have known better: a defect of ours, or the system's failure. */
export function isOwnFault(status: ConnectError): boolean {
  return [Code.Unknown, Code.Internal, Code.DataLoss].includes(status.code);
}

/**
 * What is thrown for an answer of containerd's. A call that the caller has aborted ends with the reason of its signal.
 *
 * @param subject what the message begins with: `containerd: snapshot a`
 */
export function fromStatus(error: unknown, subject: string, signal?: AbortSignal): unknown {
  if (signal?.aborted === true) return signal.reason;
  if (!(error instanceof ConnectError)) return error;
  const system = [...systemTexts].find(([text]) => error.rawMessage.endsWith(text));
  const message = `${subject}: ${error.rawMessage}`;
  if (error.code === Code.Unknown && system !== undefined) {
    return Object.assign(new Error(message, { cause: error }), { code: system[1] });
  }
  const code = error.code === Code.Canceled ? "ERR_ABORTED" : (classes.get(error.code) ?? "ERR_INTERNAL");
  return new CodedError(code, message, { cause: error });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

function isOurs(code: string): code is ErrorCode {
  return Object.hasOwn(codes, code);
}
