import { CodedError } from "@varve/errors";

const longest = 128;

/** Text from outside for a message: quoted, and not longer than one can read. */
export function quote(text: string): string {
  return JSON.stringify(text.length > longest ? `${text.slice(0, longest)}…` : text);
}

export function entryError(name: string, why: string, options?: ErrorOptions): CodedError {
  return new CodedError("ERR_INVALID_DATA", `archive: entry ${quote(name)}: ${why}`, options);
}

/** Does `work`, and lets coded errors of it begin with `subject`. */
export async function about<T>(subject: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    throw new CodedError(error.code, `${subject}: ${error.message}`, { cause: error.cause });
  }
}
