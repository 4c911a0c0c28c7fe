import { Bench } from "./bench.ts";
import { twoAtATime } from "./parallel.ts";
import { threadOf } from "./recording.ts";
import type { Kind } from "./recording.ts";
import type { SystemCall } from "./system-call.ts";
import type { Thread } from "./victim.ts";

/** A process that was killed right before a system call. */
export interface Kill {
  readonly thread: Thread;
  readonly call: SystemCall;
  /** The last one before it that changed the store, in the same thread. */
  readonly previous?: SystemCall | undefined;
  /** It was the n-th of its kind in its thread. */
  readonly n: number;
  /** What the process had acknowledged. */
  readonly steps: readonly string[];
}

/** Killed right before a call like this about a file like that, with this step done last. */
export function before(name: RegExp, path: RegExp, after?: string): (kill: Kill) => boolean {
  return ({ call, steps }) =>
    name.test(call.name) && call.paths.some((one) => path.test(one)) && (after === undefined || after === steps.at(-1));
}

/** The call before was one like this, too. */
export function justAfter(name: RegExp, path: RegExp, isIt: (kill: Kill) => boolean): (kill: Kill) => boolean {
  return (kill) => {
    const { previous } = kill;
    return (
      isIt(kill) && previous !== undefined && name.test(previous.name) && previous.paths.some((one) => path.test(one))
    );
  };
}

export interface KillMatrix {
  readonly kills: readonly Kill[];
  /** How many kinds of calls there are: names, each in one of two threads. */
  readonly kinds: number;
  /** How many runs came to their end, as there was no call left to be killed at. */
  readonly survived: number;
  /** What was wrong, after which kill. */
  readonly problems: readonly string[];
}

/**
 * Kills a process before each single call with which it changes something below the root of its store: before the n-th of
 * every kind, for every n until a run comes to its end. After each kill a new process does the same work, and what is left
 * is compared with what work without a kill leaves.
 */
export async function killEverywhere(scenario: string, base: string): Promise<KillMatrix> {
  const bench = new Bench(scenario, base);
  const kinds = await bench.prepare();
  const kills: Kill[] = [];
  const problems: string[] = [];
  let survived = 0;

  /** Says whether there was a call to kill at. */
  const kill = async (place: string, kind: Kind, n: number): Promise<boolean> => {
    const { thread, name } = kind;
    // Workers are looked at together with all threads: from right before their first call on, so that it is one of theirs.
    const after = thread === "worker" ? kind.calls[0]?.after : undefined;
    const trace = { ...bench.trace(place), thread, after, inject: `${name}:signal=SIGKILL:when=${n}` };
    const { outcome, problems: found } = await bench.run(place, { trace }, "kill");
    const { calls, steps, end } = outcome;
    const at = end === "killed" ? calls.findLastIndex((one) => one.name === name) : -1;
    const call = calls[at];
    const previous = calls.slice(0, Math.max(at, 0)).findLast(({ changes }) => changes);
    if (call?.changes === true)
      kills.push({ thread: threadOf(call, outcome.threads, thread), n, call, previous, steps });
    if (call === undefined) survived += 1;
    if (call === undefined && end !== "done") found.push(`${end}: ${outcome.failure?.stack ?? outcome.stderr}`);
    const where = `${thread} ${name} ${n}: before ${call?.line ?? "the end"}, after ${steps.at(-1) ?? "nothing"}`;
    problems.push(...found.map((problem) => `${where}: ${problem}`));
    return call !== undefined;
  };

  const known = kinds.flatMap((kind) => kind.calls.map(({ n }) => ({ kind, n })));
  await twoAtATime(known, async ({ kind, n }, place) => void (await kill(place, kind, n)));
  // No two runs are quite alike: on to where there is nothing more to be killed at.
  await twoAtATime(kinds, async (kind, place) => {
    for (let n = kind.count + 1; await kill(place, kind, n); n += 1);
  });
  return { kills, kinds: kinds.length, survived, problems };
}
