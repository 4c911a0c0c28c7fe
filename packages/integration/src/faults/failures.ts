import { join } from "node:path";
import { everyNth } from "../rounds.ts";
import { Bench } from "./bench.ts";
import { twoAtATime } from "./parallel.ts";
import { placeOf } from "./recording.ts";
import type { Kind, Occurrence } from "./recording.ts";
import type { SystemCall } from "./system-call.ts";
import type { Failure } from "./victim.ts";

/** A system call that failed, and what came of it. */
interface InjectedFailure {
  readonly error: string;
  readonly call: SystemCall;
  /** How the process reported it; `undefined` if it did all its work nevertheless. */
  readonly failure?: Failure | undefined;
}

export interface FailureMatrix {
  readonly failures: readonly InjectedFailure[];
  readonly problems: readonly string[];
}

export interface FailureOptions {
  /** Whether an error of this sync is nothing that the caller must know of. */
  mayIgnore(sync: Occurrence): boolean;
  /** Of the calls of one name that fail with one error, every so manieth does; all when thorough. */
  readonly every: number;
}

/** The errors that calls are made to end with: no space, no more descriptors, a quota, a read-only or a broken disk. */
const errors: readonly (readonly [call: RegExp, path: RegExp, errors: readonly string[]])[] = [
  // SQLite does not tell one from the other, and writes often.
  [/^pwrite/, /\.db(-\w+)?$/, ["ENOSPC"]],
  [/^pwrite/, /./, ["ENOSPC", "EIO", "EDQUOT"]],
  [/^(write|ftruncate|fallocate|copy_file_range)/, /./, ["ENOSPC"]],
  [/sync(fs)?$/, /./, ["EIO"]],
  [/^open/, /./, ["EMFILE", "EROFS"]],
  [/^(mkdir|rename|link|symlink)/, /./, ["ENOSPC", "EROFS"]],
  [/^(unlink|rmdir|f?chmod|utimens|f?chown|f?setxattr)/, /./, ["EROFS"]],
];

/**
 * Lets single calls with which a process changes its store fail, with each error that they may end with. The process must
 * say so, and a new one must then be able to do the same work, which must leave what work without a failure leaves.
 */
export async function failEverywhere(scenario: string, base: string, options: FailureOptions): Promise<FailureMatrix> {
  const bench = new Bench(scenario, base);
  const kinds = await bench.prepare();
  const failures: InjectedFailure[] = [];
  const problems: string[] = [];
  const alike = Map.groupBy(faultsOf(kinds), ({ name, error }) => `${name} ${error}`);
  const chosen = [...alike.values()].flatMap((faults) => everyNth(faults, options.every));
  await twoAtATime(chosen, async ({ thread, name, occurrence, error }, place) => {
    const { n, file: relative } = placeOf({ thread, name }, occurrence);
    const file = relative === undefined ? undefined : join(bench.root(place), relative);
    const trace = { ...bench.trace(place), file, thread, inject: `${name}:error=${error}:when=${n}` };
    const { outcome, problems: found } = await bench.run(place, { trace }, "kill");
    const { failure, end, stderr } = outcome;
    if (end === "crashed" || end === "killed") found.push(`${end}: ${stderr}`);
    if (failure !== undefined) found.push(...flaws(failure));
    const injected = outcome.calls.find(({ line }) => line.endsWith("(INJECTED)"));
    if (injected !== undefined) failures.push({ error, call: injected, failure });
    // After an error of a sync nobody knows what is on disk (faults.md 3.3).
    if (end === "done" && injected?.name.includes("sync") === true && !options.mayIgnore(occurrence)) {
      found.push("it acknowledged what it could not sync");
    }
    const where = `${thread} ${name} ${occurrence.n} ${injected?.paths.join(" ")} ${error}, after ${outcome.steps.at(-1)}`;
    problems.push(...found.map((problem) => `${where}: ${problem}`));
  });
  return { failures, problems };
}

/** What a failure should say and does not: by its code why, in its message what it is about. */
export function flaws({ code = "", message, stack = "" }: Omit<Failure, "after">): string[] {
  const flawed: string[] = [];
  if (!codes.has(code)) flawed.push(`has the code ${JSON.stringify(code)}`);
  if (!/\/store\b|\b(content|ingest|metadata|snapshot|image|lease|namespace)s? \S/.test(message))
    flawed.push("has no subject");
  return flawed.map((flaw) => `an error that ${flaw}: ${stack.includes(message) ? stack : `${message} ${stack}`}`);
}

const codes: ReadonlySet<string> = new Set(
  [
    "ENOSPC EIO EDQUOT EMFILE EROFS",
    "ERR_UNAVAILABLE ERR_DATA_LOSS ERR_INVALID_DATA ERR_RESOURCE_EXHAUSTED ERR_NOT_FOUND ERR_ABORTED ERR_FAILED_PRECONDITION",
  ].flatMap((line) => line.split(" ")),
);

function* faultsOf(
  kinds: readonly Kind[],
): Generator<Pick<Kind, "thread" | "name"> & { occurrence: Occurrence; error: string }> {
  for (const { thread, name, calls } of kinds) {
    for (const occurrence of calls) {
      const [path = ""] = occurrence.call.paths;
      // The test's own.
      if (path.endsWith("/fs/file")) continue;
      const [, , possible = []] = errors.find(([call, about]) => call.test(name) && about.test(path)) ?? [];
      for (const error of possible) yield { thread, name, occurrence, error };
    }
  }
}
