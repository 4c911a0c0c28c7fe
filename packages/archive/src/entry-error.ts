import { CodedError, type ErrorCode } from "@varve/errors";
import { printablePath, SyscallError } from "@varve/syscalls";
import type { RuleOrLimit } from "./layer-rule.ts";

/** What a message begins with, unless an option says otherwise. */
export const defaultSubject = "layer";

/** Where something went wrong. */
export interface Place {
  /** What the bytes are, as the caller calls them: `layer sha256:…`. */
  readonly subject: string;
  /** Name of the entry, one character a byte. */
  readonly name?: string | undefined;
  /** Where in the archive, in bytes. */
  readonly offset?: number | undefined;
}

/** Why something is refused, thrown where nobody knows the entry; `placed` makes the error of it that callers see. */
export class Refusal extends Error {
  readonly code: ErrorCode;
  readonly rule: RuleOrLimit;

  constructor(rule: RuleOrLimit, why: string, code: ErrorCode = "ERR_INVALID_DATA", cause?: unknown) {
    super(why, { cause });
    this.name = "Refusal";
    this.code = code;
    this.rule = rule;
  }
}

/** More than a limit allows. */
export function overLimit(limit: RuleOrLimit, value: number): Refusal {
  return new Refusal(limit, `more than the limit of ${value}`, "ERR_RESOURCE_EXHAUSTED");
}

/** A name of a layer, one character a byte, as text for messages: escaped, and cut when it is very long. */
export function printableName(name: string): string {
  const text = printablePath(Buffer.from(name, "latin1"));
  return text.length > 300 ? `${text.slice(0, 150)}…${text.slice(-149)}` : text;
}

/**
 * Adds the place to a refusal or to an error of the system (which stays what it is: `code`, `errno`). Whatever else was
 * thrown comes back as it is.
 */
export function placed(thrown: unknown, place: Place): unknown {
  if (thrown instanceof Refusal) {
    return new CodedError(thrown.code, `${prefix(place)}: ${thrown.message} (${thrown.rule})`, { cause: thrown.cause });
  }
  if (!(thrown instanceof Error) || thrown instanceof CodedError) return thrown;
  if (!("code" in thrown) || !("errno" in thrown)) return thrown;
  if (thrown.code === "ENAMETOOLONG") {
    return placed(new Refusal("name-length", "name too long", "ERR_INVALID_DATA", thrown), place);
  }
  const { message, code, errno } = named(thrown);
  return Object.assign(new Error(`${prefix(place)}: ${message}`, { cause: thrown }), { code, errno });
}

/** Node has no names for some errors of the system (EDQUOT, ESTALE), and says UNKNOWN. */
function named(thrown: Error & { readonly code: unknown; readonly errno: unknown }): typeof thrown {
  const known = typeof thrown.code === "string" && /^E[A-Z0-9]+$/.test(thrown.code);
  if (known || typeof thrown.errno !== "number") return thrown;
  const syscall = "syscall" in thrown && typeof thrown.syscall === "string" ? thrown.syscall : "system call";
  return new SyscallError(syscall, thrown.errno);
}

function prefix({ subject, name, offset }: Place): string {
  const at = offset === undefined ? "" : `at byte ${offset}`;
  const what = name === undefined ? at : `entry "${printableName(name)}" ${at}`.trimEnd();
  return what === "" ? subject : `${subject}: ${what}`;
}
