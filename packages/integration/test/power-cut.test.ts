import { temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import type { CutFlag } from "../src/faults/disk-image.ts";
import { whyNoFaults } from "../src/faults/missing.ts";
import { twoAtATime } from "../src/faults/parallel.ts";
import { PowerLab } from "../src/faults/power-lab.ts";
import type { Cut } from "../src/faults/power-lab.ts";
import { chooseSeed, randomFrom } from "../src/faults/random.ts";
import { placeOf } from "../src/faults/recording.ts";
import type { Kind } from "../src/faults/recording.ts";
import { everyNth, rounds, thorough } from "../src/rounds.ts";

const missing = await whyNoFaults(["strace", "perl", "mkfs.ext4"]);
/** When it hangs: two minutes on a quiet machine when thorough. */
const timeout = 1_800_000;
const flags: readonly CutFlag[] = [0, 1, 2];
const seed = chooseSeed();

interface Plan {
  readonly scenario: string;
  /** How many cuts at random moments. */
  readonly random: number;
  /** After these steps, up to the next, a cut comes before each single call; unless thorough, before some of each kind. */
  readonly after: readonly string[];
  /** How many cuts come there: with each flag, or with one after the other. */
  readonly each: 1 | 3;
}

const plans: readonly Plan[] = [
  // The commit of a blob: of one that was begun before, and of the first one of its algorithm.
  { scenario: "content", random: rounds(50, 4), after: ["begin", "abort"], each: thorough ? 3 : 1 },
  // The commit of a blob with its record, a label, the commit of a snapshot, and a tag.
  {
    scenario: "metadata",
    random: rounds(50, 4),
    after: ["create the lease", "share a blob", "prepare", "create the image"],
    each: 1,
  },
];

/** Where a cut can come after a step. */
function someOf(kind: Kind, step: string): Exclude<Cut["when"], number>[] {
  const calls = kind.calls.filter((call) => call.after === step);
  return everyNth(calls, 8).map((call) => ({ thread: kind.thread, name: kind.name, ...placeOf(kind, call) }));
}

describe.skipIf(missing !== undefined)(
  `a power cut, with everything, the journal or nothing more on disk (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    test.each(plans)(
      `loses nothing acknowledged of $scenario, shows nothing half done, and the work can be done again (VARVE_SEED=${seed})`,
      { timeout },
      async ({ scenario, random, after, each }) => {
        await using directory = await temporaryDirectory();
        const lab = new PowerLab(scenario, directory.path);
        const { duration, kinds } = await lab.prepare();
        const next = randomFrom(seed);
        const places = kinds.flatMap((kind) => after.flatMap((step) => someOf(kind, step)));
        const atSteps = places.flatMap((when, index): Cut[] => {
          const chosen = each === 3 ? flags : flags.filter((flag) => flag === index % 3);
          return chosen.map((flag) => ({ flag, when }));
        });
        let whole = duration;
        const early: Cut[] = [];
        const missed: Cut[] = [];
        const problems: string[] = [];
        const cutAt = async (cut: Cut, place: string): Promise<void> => {
          const result = await lab.cut(place, cut);
          const last = result.steps.at(-1);
          problems.push(...result.problems.map((problem) => `${JSON.stringify(cut)} after ${last}: ${problem}`));
          if (typeof cut.when !== "number") {
            // Into how many writes the bytes of an ingest come hangs on when they come.
            if (result.end === "done" && cut.when.name !== "pwrite64") missed.push(cut);
          } else if (result.end !== "done") early.push(cut);
          // It was faster now than when it was measured.
          else whole = Math.min(whole, cut.when);
        };
        const moments = Array.from({ length: random }, (_, index) => ({ flag: flags[index % 3] ?? 0, part: next() }));
        await twoAtATime(moments, ({ flag, part }, place) => cutAt({ flag, when: part * whole }, place));
        await twoAtATime(atSteps, cutAt);
        // Of the moments, too, some are before the end, however slow the machine was when the work was measured.
        for (; early.length === 0; whole /= 2) await cutAt({ flag: 0, when: whole / 2 }, "a");
        const counts = `${early.length} at random moments before the end, and ${atSteps.length} at single calls`;
        process.stdout.write(`power cuts, ${scenario}: ${counts}\n`);
        expect(problems).toEqual([]);
        expect(missed).toEqual([]);
      },
    );
  },
);
