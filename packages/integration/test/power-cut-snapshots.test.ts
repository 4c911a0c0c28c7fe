import { temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import type { CutFlag, Filesystem } from "../src/faults/disk-image.ts";
import { whyNoFaults } from "../src/faults/missing.ts";
import { twoAtATime } from "../src/faults/parallel.ts";
import { PowerLab } from "../src/faults/power-lab.ts";
import type { Cut } from "../src/faults/power-lab.ts";
import { chooseSeed, randomFrom } from "../src/faults/random.ts";
import { placeOf } from "../src/faults/recording.ts";
import type { Kind } from "../src/faults/recording.ts";
import { everyNth, rounds } from "../src/rounds.ts";

const missing = await whyNoFaults(["strace", "perl", "mkfs.ext4", "mkfs.xfs", "cmp"]);
/** Not how long it may take, but when it hangs: a minute on a quiet machine when thorough. */
const timeout = 1_800_000;
const flags: readonly CutFlag[] = [0, 1, 2];
const seed = chooseSeed();

interface Plan {
  readonly backend: "overlay" | "native";
  readonly filesystem: Filesystem;
  /** What the disk has got, cut by cut. */
  readonly flags: readonly Cut["flag"][];
  /** How many cuts at random moments. */
  readonly random: number;
  /** After these steps, up to the next, a cut comes before each single call; unless thorough, before every sixth. */
  readonly after: readonly string[];
}

const plans: readonly Plan[] = [
  // P01, P02, P03
  {
    backend: "overlay",
    filesystem: "ext4",
    flags,
    random: rounds(60, 5),
    after: ["prepare", "commit", "commit on it", "remove the view"],
  },
  { backend: "native", filesystem: "ext4", flags, random: rounds(40, 4), after: ["prepare on it"] },
  // P04
  { backend: "overlay", filesystem: "xfs", flags: [1, 2], random: rounds(6, 2), after: ["prepare"] },
  { backend: "native", filesystem: "xfs", flags: [1, 2], random: rounds(6, 2), after: ["prepare on it"] },
  // P05
  { backend: "overlay", filesystem: "ext4", flags: ["copy"], random: rounds(10, 4), after: [] },
];

/** Where a cut can come: before each call after these steps. Workers are not seen to stand still. */
function callsAfter(kinds: readonly Kind[], after: readonly string[]): Exclude<Cut["when"], number>[] {
  const calls = kinds
    .filter(({ thread }) => thread !== "worker")
    .flatMap((kind) => kind.calls.map((call) => ({ kind, call })));
  return after.flatMap((step) =>
    everyNth(
      calls.filter(({ call }) => call.after === step),
      6,
    ).map(({ kind, call }) => ({ thread: kind.thread, name: kind.name, ...placeOf(kind, call) })),
  );
}

describe.skipIf(missing !== undefined)(
  `a power cut under a snapshotter (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    test.each(plans)(
      `loses nothing that $backend has committed on $filesystem ($flags), and the work can be done again (VARVE_SEED=${seed})`,
      { timeout },
      async ({ backend, filesystem, flags: given, random, after }) => {
        await using directory = await temporaryDirectory();
        const lab = new PowerLab(backend, directory.path, filesystem);
        const { duration, kinds } = await lab.prepare();
        const next = randomFrom(seed);
        // The work may have been slow when it was measured: the moments are to lie within it.
        let whole = duration;
        const moments = Array.from({ length: random }, () => {
          const fraction = next();
          return (): number => fraction * whole;
        });
        const atCalls = callsAfter(kinds, after).map((when) => () => when);
        const problems: string[] = [];
        const early: Cut[] = [];
        const missed: Cut[] = [];
        const cutAt = async (cut: Cut, place: string): Promise<void> => {
          const { end, steps, problems: found } = await lab.cut(place, cut);
          if (typeof cut.when !== "number") missed.push(...(end === "done" ? [cut] : []));
          else if (end === "done") whole = Math.min(whole, cut.when);
          else early.push(cut);
          problems.push(...found.map((problem) => `${JSON.stringify(cut)} after ${steps.at(-1)}: ${problem}`));
        };
        const flagAt = (index: number): Cut["flag"] => given[index % given.length] ?? 0;
        await twoAtATime([...moments, ...atCalls].entries(), ([index, choose], place) =>
          cutAt({ when: choose(), flag: flagAt(index) }, place),
        );
        // Of the moments, too, some are before the end, though the machine may be slower now than when the work was measured.
        for (; early.length === 0; whole /= 2) await cutAt({ when: whole / 2, flag: flagAt(0) }, "a");
        const counts = `${early.length} cuts at random moments before the end, and ${atCalls.length} at single calls`;
        process.stdout.write(`power cuts, ${backend} on ${filesystem}: ${counts}\n`);
        expect(problems).toEqual([]);
        expect(missed).toEqual([]);
      },
    );

    // So that the test above can tell.
    test.each(["overlay", "native"])(
      "right after a commit takes its contents, where %s was told to do without durability",
      { timeout },
      async (backend) => {
        await using directory = await temporaryDirectory();
        const lab = new PowerLab(`${backend} without durability`, directory.path);
        const { kinds } = await lab.prepare();
        const [when] = callsAfter(kinds, ["commit"]);
        if (when === undefined) throw new Error("no call after the commit");
        for (const flag of [1, 2] as const) {
          const { steps, problems } = await lab.cut("a", { flag, when });
          expect(steps.at(-1), `flag ${flag}`).toBe("commit");
          const lost = problems.filter((problem) => problem.startsWith("after the fault, step commit:"));
          expect(lost, `flag ${flag}`).not.toEqual([]);
        }
      },
    );
  },
);
