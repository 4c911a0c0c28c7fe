import { CodedError } from "@varve/errors";
import type { ErrorCode } from "@varve/errors";

/** An error of the snapshotter below, with the names its caller knows in the place of the keys below. */
export function inUsersWords(error: unknown, names: ReadonlyMap<string, string>): unknown {
  if (!isCoded(error)) return error;
  const message = withNames(error.message, names);
  return message === error.message ? error : new CodedError(error.code, message, { cause: error });
}

/** A text from below, with the names its reader knows in the place of the keys below. */
export function withNames(text: string, names: ReadonlyMap<string, string>): string {
  let translated = text;
  // The longest first: one key may begin another.
  const keys = [...names.keys()].toSorted((one, other) => other.length - one.length);
  for (const key of keys) translated = translated.replaceAll(key, () => names.get(key) ?? key);
  return translated;
}

/** By name, not by class: a backend may have its own copy of the package. */
export function isCoded(error: unknown): error is Error & { code: ErrorCode } {
  if (!(error instanceof Error && error.name === "CodedError" && "code" in error)) return false;
  return typeof error.code === "string";
}
