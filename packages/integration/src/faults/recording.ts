import type { SystemCall } from "./system-call.ts";
import type { Outcome, Thread } from "./victim.ts";

/** The system calls of one name in one thread. */
export interface Kind {
  readonly thread: Thread;
  readonly name: string;
  /** How many there are. */
  readonly count: number;
  /** Those that change the store. */
  readonly calls: readonly Occurrence[];
}

/** One call, and the how manieth of its kind it is, from 1 on: what strace counts by. */
export interface Occurrence {
  readonly n: number;
  /** The how manieth of those about the same file. */
  readonly nOfFile: number;
  readonly call: SystemCall;
  /** The last one before it that changed the store, in the same thread. */
  readonly previous: SystemCall | undefined;
  /** The last step that was acknowledged before it. */
  readonly after: string | undefined;
}

/** The n-th call of a kind; of those about this file, relative to the root of the store, if there is one. */
export interface Place {
  readonly n: number;
  readonly file?: string | undefined;
}

/** What changed the store in a run in which all threads were traced. */
export function kindsOf({ calls, steps, threads }: Outcome): Kind[] {
  const kinds = new Map<string, { thread: Thread; name: string; count: number; calls: Occurrence[] }>();
  const lastOf = new Map<number | undefined, SystemCall>();
  for (const call of calls) {
    const thread = threadOf(call, threads);
    const key = `${thread} ${call.name}`;
    const kind = kinds.get(key) ?? { thread, name: call.name, count: 0, calls: [] };
    kinds.set(key, kind);
    kind.count += 1;
    const nOfFile = 1 + kind.calls.filter((other) => other.call.file === call.file).length;
    if (!call.changes) continue;
    kind.calls.push({ n: kind.count, nOfFile, call, previous: lastOf.get(call.thread), after: steps[call.said - 1] });
    lastOf.set(call.thread, call);
  }
  return [...kinds.values()].filter((kind) => kind.calls.length > 0);
}

/**
 * Where to look for a call of that kind. How often Node wakes its own threads with a write is not the same twice, so those count
 * by their file; the files of workers have random names.
 */
export function placeOf({ thread, name }: Pick<Kind, "name" | "thread">, { n, nOfFile, call }: Occurrence): Place {
  return name === "write" && thread !== "worker" ? { n: nOfFile, file: call.file } : { n };
}

/** Which thread a call was made in: where only one was traced, strace does not say. */
export function threadOf({ thread }: SystemCall, { main, pool }: Outcome["threads"], only?: Thread): Thread {
  if (thread === undefined && only !== undefined) return only;
  if (thread === main) return "main";
  return thread === pool ? "pool" : "worker";
}
