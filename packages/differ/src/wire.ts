import { CodedError } from "@varve/errors";
import type { ErrorCode } from "@varve/errors";

/** An error on its way between threads: structured cloning keeps no `code`. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  /** Of a `CodedError`. */
  readonly coded?: ErrorCode | undefined;
  /** What an error of the operating system carries: `code`, `errno`, `syscall`. */
  readonly system?: Readonly<Record<string, unknown>> | undefined;
  readonly cause?: WireError | undefined;
}

/** What a worker answers to a job. */
export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: WireError };

/** Packs an error for another thread. */
export function packError(error: unknown): WireError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  return {
    name: error.name,
    message: error.message,
    coded: error instanceof CodedError ? error.code : undefined,
    system: error instanceof CodedError ? undefined : systemFields(error),
    cause: error.cause === undefined ? undefined : packError(error.cause),
  };
}

/** Makes the packed error an `Error` again, of the same code. */
export function unpackError(packed: WireError): Error {
  const options = packed.cause === undefined ? {} : { cause: unpackError(packed.cause) };
  if (packed.coded !== undefined) return new CodedError(packed.coded, packed.message, options);
  const error = new Error(packed.message, options);
  error.name = packed.name;
  return Object.assign(error, packed.system);
}

/** What an error of the operating system carries besides its message. */
export function systemFields(error: object): Record<string, unknown> {
  const names = ["code", "errno", "syscall"] as const;
  return Object.fromEntries(Object.entries(error).filter(([name]) => names.some((known) => known === name)));
}
