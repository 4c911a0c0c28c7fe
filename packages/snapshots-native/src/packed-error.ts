import { CodedError } from "@varve/errors";
import { SyscallError } from "@varve/syscalls";

/** An error on its way between threads, where the properties of error objects get lost. */
export type PackedError =
  | { readonly kind: "syscall"; readonly syscall: string; readonly errno: number; readonly path: string | undefined }
  | { readonly kind: "other"; readonly message: string; readonly code: string | undefined };

export function packError(error: unknown): PackedError {
  if (!(error instanceof Error)) return { kind: "other", message: String(error), code: undefined };
  if ("syscall" in error && "errno" in error && typeof error.errno === "number") {
    const path = "path" in error && typeof error.path === "string" ? error.path : undefined;
    return { kind: "syscall", syscall: String(error.syscall), errno: error.errno, path };
  }
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  return { kind: "other", message: error.message, code };
}

/** @param subject what could not be done, for the message */
export function unpackError(packed: PackedError, subject: string): Error {
  if (packed.kind === "syscall") {
    const error = new SyscallError(packed.syscall, packed.errno, { path: packed.path });
    error.message = `${subject}: ${error.message}`;
    return error;
  }
  const message = `${subject}: ${packed.message}`;
  if (packed.code === "ERR_NOT_IMPLEMENTED" || packed.code === "ERR_UNAVAILABLE") {
    return new CodedError(packed.code, message);
  }
  return Object.assign(new Error(message), packed.code === undefined ? {} : { code: packed.code });
}
