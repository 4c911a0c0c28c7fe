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
  /** The last step that was acknowledged before it. */
  readonly after: string | undefined;
}

/** What changed the store in a run in which all threads were traced. */
export function kindsOf({ calls, steps, threads }: Outcome): Kind[] {
  const kinds = new Map<string, { thread: Thread; name: string; count: number; calls: Occurrence[] }>();
  for (const call of calls) {
    const thread = threadOf(call, threads);
    const key = `${thread} ${call.name}`;
    const kind = kinds.get(key) ?? { thread, name: call.name, count: 0, calls: [] };
    kinds.set(key, kind);
    kind.count += 1;
    const nOfFile = 1 + kind.calls.filter((other) => other.call.file === call.file).length;
    if (call.changes) kind.calls.push({ n: kind.count, nOfFile, call, after: steps[call.said - 1] });
  }
  return [...kinds.values()].filter((kind) => kind.calls.length > 0);
}

/** Which thread a call was made in: where only one was traced, strace does not say. */
export function threadOf({ thread }: SystemCall, { main, pool }: Outcome["threads"], only?: Thread): Thread {
  if (thread === undefined && only !== undefined) return only;
  if (thread === main) return "main";
  return thread === pool ? "pool" : "worker";
}
