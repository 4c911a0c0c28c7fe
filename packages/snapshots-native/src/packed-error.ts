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

export function unpackError(packed: PackedError): Error {
  if (packed.kind === "syscall") return new SyscallError(packed.syscall, packed.errno, { path: packed.path });
  if (packed.code === "ERR_NOT_IMPLEMENTED") return new CodedError(packed.code, packed.message);
  return Object.assign(new Error(packed.message), packed.code === undefined ? {} : { code: packed.code });
}
