import { CodedError } from "@varve/errors";
import type { ErrorCode } from "@varve/errors";
import {
  EACCES,
  EBUSY,
  EINVAL,
  ENODEV,
  ENOENT,
  ENOSYS,
  ENOTDIR,
  EPERM,
  printablePath,
  SyscallError,
} from "@varve/syscalls";

const codes: ReadonlyMap<number, ErrorCode> = new Map([
  [EPERM, "ERR_PERMISSION_DENIED"],
  [EACCES, "ERR_PERMISSION_DENIED"],
  [ENOENT, "ERR_NOT_FOUND"],
  [ENOTDIR, "ERR_NOT_FOUND"],
  [EBUSY, "ERR_UNAVAILABLE"],
  [EINVAL, "ERR_INVALID_ARGUMENT"],
  [ENODEV, "ERR_NOT_IMPLEMENTED"],
  [ENOSYS, "ERR_NOT_IMPLEMENTED"],
]);

/** One step of a mount that the kernel refused, for the caller to put the target before. */
export interface Refusal {
  /** What the step was about: `lower directory /a`. */
  readonly about: string;
  readonly syscall: string;
  /** The negative error number. */
  readonly result: number;
  /** What the kernel said besides the number. */
  readonly explanation?: string | undefined;
}

/** Turns a refusal into the error to throw. Errors of the medium (ENOSPC, EIO …) keep their own code. */
export function refused(refusal: Refusal): Error {
  const cause = new SyscallError(refusal.syscall, refusal.result);
  const code = codes.get(-refusal.result);
  const why = refusal.explanation === undefined ? cause.message : `${refusal.explanation} (${cause.message})`;
  const message = `${printablePath(refusal.about)}: ${why}`;
  if (code !== undefined) return new CodedError(code, message, { cause });
  return Object.assign(new Error(message, { cause }), { code: cause.code, errno: cause.errno });
}

/** The result if it is none of failure. */
export function mustSucceed(result: number, about: string, syscall: string): number {
  if (result < 0) throw refused({ about, syscall, result });
  return result;
}
