import { join } from "node:path";
import { everyNth } from "../rounds.ts";
import { Bench } from "./bench.ts";
import { twoAtATime } from "./parallel.ts";
import { placeOf, threadOf } from "./recording.ts";
import type { Kind, Occurrence } from "./recording.ts";
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
  /** Of how many of them kills went on until there was no call left. */
  readonly beyond: number;
  /** How many runs came to their end, as there was no call left to be killed at. */
  readonly survived: number;
  /** What was wrong, after which kill. */
  readonly problems: readonly string[];
}

export interface KillOptions {
  /** Of the calls of each kind every so manieth is enough; all when thorough. Default: 1. */
  readonly every?: number | undefined;
  /** Of the kills like each of these there is one at least, if there is a call for it. */
  readonly rows?: readonly ((kill: Kill) => boolean)[] | undefined;
}

/**
 * Kills a process before single calls with which it changes something below the root of its store: before the n-th of
 * every kind, for every n until a run comes to its end. After each kill a new process does the same work, and what is left
 * is compared with what work without a kill leaves.
 */
export async function killEverywhere(scenario: string, base: string, options: KillOptions = {}): Promise<KillMatrix> {
  const { every = 1, rows = [] } = options;
  const bench = new Bench(scenario, base);
  const kinds = (await bench.prepare()).flatMap(byPlace);
  const kills: Kill[] = [];
  const problems: string[] = [];
  let survived = 0;

  /** Says whether there was a call to kill at. */
  const kill = async (place: string, kind: PlacedKind, n: number): Promise<boolean> => {
    const { thread, name } = kind;
    // Workers are looked at together with all threads: from right before their first call on, so that it is one of theirs.
    const after = thread === "worker" ? kind.calls[0]?.after : undefined;
    const file = kind.file === undefined ? undefined : join(bench.root(place), kind.file);
    const trace = { ...bench.trace(place), thread, after, file, inject: `${name}:signal=SIGKILL:when=${n}` };
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

  const known = kinds.flatMap((kind) => everyNth(kind.calls, every).map((call) => ({ kind, call })));
  await twoAtATime(known, async ({ kind, call }, place) => void (await kill(place, kind, placeOf(kind, call).n)));
  // Where a call comes a little earlier or later than in the recorded run, another one like it does as well.
  await twoAtATime(rows, async (isIt, place) => {
    for (const kind of kinds) {
      for (const call of kind.calls.filter((one) => isIt(expectedAt(kind, one)))) {
        if (kills.some(isIt)) return;
        await kill(place, kind, placeOf(kind, call).n);
      }
    }
  });
  // No two runs are quite alike: on to where there is nothing more to be killed at.
  const ends = everyNth(kinds, every);
  await twoAtATime(ends, async (kind, place) => {
    for (let n = kind.count + 1; await kill(place, kind, n); n += 1);
  });
  return { kills, kinds: kinds.length, beyond: ends.length, survived, problems };
}

interface PlacedKind extends Kind {
  readonly file: string | undefined;
}

/** A kind whose calls count by their files is one for each file. */
function byPlace(kind: Kind): PlacedKind[] {
  const files = Map.groupBy(kind.calls, (call) => placeOf(kind, call).file);
  return [...files].map(([file, calls]) => ({
    ...kind,
    file,
    calls,
    count: file === undefined ? kind.count : calls.length,
  }));
}

function expectedAt(kind: Kind, { call, previous, n, after }: Occurrence): Kill {
  return { thread: kind.thread, call, previous, n, steps: after === undefined ? [] : [after] };
}
