import { unlinkSync } from "node:fs";
import { constants } from "node:os";

// libuv has no name for it: Node shows -122 as an unknown error (F03).
const overQuota = constants.errno.EDQUOT;

/** Whether `error` is one of the operating system with this code. */
export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes(errnoCode(error) ?? "");
}

/** The result, or `undefined` where the file does not exist. */
export function orMissing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** Removes a file, if there is one. Node's `rmSync` loses the codes of some errors: `EROFS` arrives as an empty text. */
export function removeFile(path: string): void {
  orMissing(() => unlinkSync(path));
}

/**
 * Says what an error of the operating system is about: those of calls on open files name nothing. The code stays, other
 * errors pass as they are.
 */
export function withSubject(error: unknown, subject: string): unknown {
  const code = errnoCode(error);
  if (code === undefined || !(error instanceof Error) || error.message.startsWith(subject)) return error;
  const { message, errno, syscall, path }: NodeJS.ErrnoException = error;
  const text = code === "EDQUOT" ? `EDQUOT: disk quota exceeded, ${syscall ?? "write"}` : message;
  return Object.assign(new Error(`${subject}: ${text}`, { cause: error }), { code, errno, syscall, path });
}

/** Lets the errors of a call say what they are about. */
export async function about<T>(subject: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw withSubject(error, subject);
  }
}

/** The code of an error of the operating system. */
function errnoCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined;
  if (!("errno" in error) || typeof error.errno !== "number") return undefined;
  return Math.abs(error.errno) === overQuota ? "EDQUOT" : error.code;
}
