import { CodedError, type ErrorCode } from "@varve/errors";
import { printablePath } from "@varve/syscalls";

/** A name of a layer, one character a byte, as text for messages: escaped, and cut when it is very long. */
export function printableName(name: string): string {
  const text = printablePath(Buffer.from(name, "latin1"));
  return text.length > 300 ? `${text.slice(0, 150)}…${text.slice(-149)}` : text;
}

/** An error about one entry. `name` has one character a byte. */
export function entryError(code: ErrorCode, name: string, why: string, cause?: unknown): CodedError {
  return new CodedError(code, `layer entry "${printableName(name)}": ${why}`, { cause });
}

/** An error about the archive itself, at `offset` bytes. */
export function archiveError(offset: number, why: string, code: ErrorCode = "ERR_INVALID_DATA"): CodedError {
  return new CodedError(code, `layer: at byte ${offset}: ${why}`);
}

/**
 * Adds the entry to whatever was thrown on the way. Errors of the system stay what they are (`code`, `errno`),
 * but for those that only say that a name is too long for this kernel or filesystem.
 */
export function atEntry(name: string, thrown: unknown): unknown {
  if (!(thrown instanceof Error) || thrown instanceof CodedError) return thrown;
  if (!("code" in thrown) || !("errno" in thrown)) return thrown;
  if (thrown.code === "ENAMETOOLONG") return entryError("ERR_INVALID_DATA", name, "name too long", thrown);
  const error = new Error(`layer entry "${printableName(name)}": ${thrown.message}`, { cause: thrown });
  return Object.assign(error, { code: thrown.code, errno: thrown.errno });
}
