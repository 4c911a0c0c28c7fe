import { temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import type { CutFlag } from "../src/faults/disk-image.ts";
import { whyNoFaults } from "../src/faults/missing.ts";
import { twoAtATime } from "../src/faults/parallel.ts";
import { PowerLab } from "../src/faults/power-lab.ts";
import type { Cut } from "../src/faults/power-lab.ts";
import { chooseSeed, randomFrom } from "../src/faults/random.ts";

const missing = await whyNoFaults(["strace", "perl", "mkfs.ext4"]);
/** Two minutes on a quiet machine. */
const timeout = 900_000;
const flags: readonly CutFlag[] = [0, 1, 2];
const seed = chooseSeed();

interface Plan {
  readonly scenario: string;
  /** How many cuts at random moments. */
  readonly random: number;
  /** After these steps, up to the next, a cut comes before each single call. */
  readonly after: readonly string[];
  /** How many cuts come there: with each flag, or with one after the other. */
  readonly each: 1 | 3;
}

const plans: readonly Plan[] = [
  // The commit of a blob: of one that was begun before, and of the first one of its algorithm.
  { scenario: "content", random: 50, after: ["begin", "abort"], each: 3 },
  // The commit of a blob with its record, a label, the commit of a snapshot, and a tag.
  {
    scenario: "metadata",
    random: 50,
    after: ["create the lease", "share a blob", "prepare", "create the image"],
    each: 1,
  },
];

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
        const atRandom = Array.from({ length: random }, (_, index): Cut => {
          return { flag: flags[index % 3] ?? 0, when: next() * duration };
        });
        const calls = kinds.flatMap((kind) => kind.calls.map((call) => ({ ...call, when: { ...kind, n: call.n } })));
        const atSteps = calls
          .filter((call) => after.includes(call.after ?? ""))
          .flatMap(({ when }, index) => {
            const chosen = each === 3 ? flags : flags.filter((flag) => flag === index % 3);
            return chosen.map((flag): Cut => ({ flag, when: { thread: when.thread, name: when.name, n: when.n } }));
          });
        const problems: string[] = [];
        let unfinished = 0;
        await twoAtATime([...atRandom, ...atSteps], async (cut, place) => {
          const result = await lab.cut(place, cut);
          if (result.end !== "done") unfinished += 1;
          const last = result.steps.at(-1);
          problems.push(...result.problems.map((problem) => `${JSON.stringify(cut)} after ${last}: ${problem}`));
        });
        const counts = `${atRandom.length} cuts at random moments and ${atSteps.length} at single calls`;
        process.stdout.write(`power cuts, ${scenario}: ${counts}, ${unfinished} of them before the end of the work\n`);
        expect(problems).toEqual([]);
        // Most of the moments are before the end; else these are no cuts.
        expect(unfinished).toBeGreaterThan(atSteps.length + random / 3);
      },
    );
  },
);
