import { Bench } from "./bench.ts";
import { twoAtATime } from "./parallel.ts";
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
  const kill = async (place: string, thread: Thread, name: string, n: number): Promise<boolean> => {
    const trace = { ...bench.trace(place), thread, inject: `${name}:signal=SIGKILL:when=${n}` };
    const { outcome, problems: found } = await bench.run(place, { trace }, "kill");
    const { calls, steps, end } = outcome;
    const call = end === "killed" ? calls.at(-1) : undefined;
    const previous = calls.slice(0, -1).findLast(({ changes }) => changes);
    if (call?.changes === true) kills.push({ thread, n, call, previous, steps });
    if (call === undefined) survived += 1;
    if (call === undefined && end !== "done") found.push(`${end}: ${outcome.failure?.stack ?? outcome.stderr}`);
    const where = `${thread} ${name} ${n}: before ${call?.line ?? "the end"}, after ${steps.at(-1) ?? "nothing"}`;
    problems.push(...found.map((problem) => `${where}: ${problem}`));
    return call !== undefined;
  };

  const known = kinds.flatMap(({ thread, name, calls }) => calls.map(({ n }) => ({ thread, name, n })));
  await twoAtATime(known, async ({ thread, name, n }, place) => void (await kill(place, thread, name, n)));
  // No two runs are quite alike: on to where there is nothing more to be killed at.
  await twoAtATime(kinds, async ({ thread, name, count }, place) => {
    for (let n = count + 1; await kill(place, thread, name, n); n += 1);
  });
  return { kills, kinds: kinds.length, survived, problems };
}
