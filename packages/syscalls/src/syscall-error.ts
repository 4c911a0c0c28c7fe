import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";
import type { PathLike } from "./path-like.ts";
import { printablePath } from "./printable-path.ts";

/** What a call was about, for the message. */
export interface SyscallSubject {
  readonly path?: PathLike | undefined;
  /** The second path of calls that take two. */
  readonly dest?: PathLike | undefined;
}

/**
 * A system call failed. Has the properties of the errors of `node:fs`, so code that handles those handles this:
 * `code` is the errno's name (`ENOENT`), `errno` its negative number, and `path` is text fit to print.
 */
export class SyscallError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  readonly path: string | undefined;
  readonly dest: string | undefined;

  /** @param errno the error number, either sign */
  constructor(syscall: string, errno: number, subject: SyscallSubject = {}) {
    const negative = -Math.abs(errno);
    const [code, text] = describeErrno(negative);
    const path = subject.path === undefined ? undefined : printablePath(subject.path);
    const dest = subject.dest === undefined ? undefined : printablePath(subject.dest);
    const names = (path === undefined ? "" : ` '${path}'`) + (dest === undefined ? "" : ` -> '${dest}'`);
    super(`${code}: ${text}, ${syscall}${names}`);
    this.name = "SyscallError";
    this.code = code;
    this.errno = negative;
    this.syscall = syscall;
    this.path = path;
    this.dest = dest;
  }
}

/** Passes a result that is not negative, throws the error that a negative one stands for. */
export function check(result: number, syscall: string, path?: PathLike, dest?: PathLike): number {
  if (result < 0) throw new SyscallError(syscall, result, { path, dest });
  return result;
}

/** As `check`, for calls that answer with something else than a number. */
export function checkValue<T extends object>(result: T | number, syscall: string, path?: PathLike, dest?: PathLike): T {
  if (typeof result === "number") throw new SyscallError(syscall, result, { path, dest });
  return result;
}

// What Node has no text for. EDQUOT matters: it is the "no space" of systems with quotas.
const additional: Readonly<Record<string, string>> = {
  EBADMSG: "bad message",
  EDEADLK: "resource deadlock avoided",
  EDQUOT: "disk quota exceeded",
  ENOLCK: "no locks available",
  ESTALE: "stale file handle",
};

/** The structure of the filesystem is damaged; a number that Node does not list. */
const EUCLEAN = 117;

function describeErrno(negative: number): readonly [code: string, text: string] {
  const known = getSystemErrorMap().get(negative);
  if (known !== undefined) return known;
  if (negative === -EUCLEAN) return ["EUCLEAN", "structure needs cleaning"];
  const name = Object.entries(constants.errno).find(([, value]) => value === -negative)?.[0];
  if (name === undefined) return [`E${-negative}`, `unknown error ${-negative}`];
  return [name, additional[name] ?? `error ${-negative}`];
}
