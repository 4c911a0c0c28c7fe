import { CodedError, hasCode } from "@varve/errors";
import { describeStatus } from "../http/node-http.ts";

interface Failed {
  readonly name: string;
  readonly error: CodedError;
  /** Absent when there was no answer. */
  readonly status: number | undefined;
}

const maxTold = 4;
const maxReason = 200;

/** What came of the servers that were asked in vain, for one request (U-RES.3). */
export class FailedServers {
  readonly #failed: Failed[] = [];

  /** @returns the reason in a few words */
  add(name: string, error: CodedError, status?: number): string {
    const failed = { name, error, status };
    this.#failed.push(failed);
    return reasonOf(failed);
  }

  /**
   * The most telling error: the last server's, which is the registry itself, unless that gave no answer and a mirror refused.
   * That a mirror does not have something says nothing.
   */
  mostTelling(): CodedError {
    const [first] = this.#failed.toReversed().toSorted((a, b) => weight(b) - weight(a));
    if (first === undefined) throw new CodedError("ERR_INTERNAL", "registry: no server was asked");
    const others = this.#failed.filter((one) => one !== first);
    return withNote(first.error, others);
  }

  /** An error of another server that was asked in the end, with a note of those before it. */
  notedIn(error: CodedError): CodedError {
    return withNote(error, this.#failed);
  }
}

function weight({ error, status }: Failed): number {
  if (hasCode(error, "ERR_NOT_FOUND")) return 0;
  return status === undefined ? 1 : 2;
}

function withNote(error: CodedError, others: readonly Failed[]): CodedError {
  if (others.length === 0) return error;
  const told = others.slice(0, maxTold).map((one) => `${one.name}: ${reasonOf(one)}`);
  if (others.length > maxTold) told.push(`${others.length - maxTold} more`);
  // The cause stays what it was: it tells whether trying again may help.
  return new CodedError(error.code, `${error.message} (also asked: ${told.join("; ")})`, { cause: error.cause });
}

function reasonOf({ error, name, status }: Failed): string {
  if (status !== undefined) return describeStatus(status);
  const text = error.message.startsWith(`registry ${name}: `) ? error.message.slice(11 + name.length) : error.message;
  return text.slice(0, maxReason);
}
