import { CodedError } from "@varve/errors";
import type { ErrorCode } from "@varve/errors";

/** An error on its way between threads: structured cloning keeps no `code`. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly code?: string | undefined;
  readonly errno?: number | undefined;
  readonly syscall?: string | undefined;
  readonly cause?: WireError | undefined;
}

/** What a worker answers to a job. */
export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: WireError };

/** Packs an error for another thread. */
export function packError(error: unknown): WireError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { code, errno, syscall } = error as NodeJS.ErrnoException;
  return {
    name: error.name,
    message: error.message,
    code,
    errno,
    syscall,
    cause: error.cause === undefined ? undefined : packError(error.cause),
  };
}

/** Makes the packed error an `Error` again, of the same code. */
export function unpackError(packed: WireError): Error {
  const options = packed.cause === undefined ? {} : { cause: unpackError(packed.cause) };
  if (packed.code?.startsWith("ERR_") === true) {
    return new CodedError(packed.code as ErrorCode, packed.message, options);
  }
  const error = new Error(packed.message, options);
  error.name = packed.name;
  const { code, errno, syscall } = packed;
  return Object.assign(error, code === undefined ? {} : { code }, errno === undefined ? {} : { errno }, syscall === undefined ? {} : { syscall });
}
