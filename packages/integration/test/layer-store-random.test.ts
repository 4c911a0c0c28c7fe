import { mkdirSync, mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec, temporaryDirectory } from "@varve-tools/corpus";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import { chooseSeed, randomFrom } from "../src/faults/random.ts";
import { openSnapshots } from "../src/faults/snapshot-world.ts";
import { KillableStores } from "../src/layer-store/killable-stores.ts";
import { backends } from "../src/layer-store/layer-store-scene.ts";
import type { Backend } from "../src/layer-store/layer-store-scene.ts";
import { RandomSequences } from "../src/layer-store/random-sequence.ts";
import { rounds, thorough } from "../src/rounds.ts";

const missing = await whyNoFaults([]);
/** Side by side, each in a root of its own. */
const lanes = 2;
const sequencesOfALane = rounds(10_000, 400) / lanes / backends.length;
/** Milliseconds. */
const limit = thorough ? 7_200_000 : undefined;

let disk = "";
const before = process.env["TMPDIR"];

// In memory, for on a disk it would be the disk that takes the time.
beforeAll(async () => {
  if (missing !== undefined) return;
  disk = mkdtempSync(join(tmpdir(), "varve-layer-store-"));
  await exec("mount", ["-t", "tmpfs", "none", disk]);
  process.env["TMPDIR"] = disk;
});

afterAll(async () => {
  if (disk === "") return;
  if (before === undefined) delete process.env["TMPDIR"];
  else process.env["TMPDIR"] = before;
  await exec("umount", [disk]);
  rmdirSync(disk);
});

async function runLane(backend: Backend, seed: number): Promise<RandomSequences["kills"]> {
  await using directory = await temporaryDirectory();
  const root = join(directory.path, "store");
  mkdirSync(root);
  await using snapshotter = await openSnapshots({ backend, durability: "none" }, root);
  await using stores = await KillableStores.start({ backend, root, compiled: join(directory.path, "compiled") });
  const sequences = new RandomSequences(stores, { backend, root, snapshotter }, randomFrom(seed));
  for (let left = sequencesOfALane; left > 0; left -= 1) await sequences.run();
  return sequences.kills;
}

// Issue 8: random sequences against a simple model. S1.4, S1.10 to S1.13, S1.20, S1.22, S1.30 to S1.37, S1.40 to S1.49, S1.62,
// C-LS.1 to C-LS.3, C-LS.5; promises 1 to 8 of faults.md, as far as layers go
describe.skipIf(missing !== undefined).each(backends)(
  `random sequences over %s (privileged${missing === undefined ? "" : `: ${missing}`})`,
  (backend) => {
    test(
      `${sequencesOfALane * lanes} of them, with processes killed in them, give the answers of the model, and leave what the model has, then nothing`,
      async () => {
        const seed = chooseSeed();
        const seeds = Array.from({ length: lanes }, (_, lane) => seed + lane);
        process.stdout.write(`layer store over ${backend}: VARVE_SEED=${seed}\n`);
        const ended = await Promise.allSettled(seeds.map((one) => runLane(backend, one)));
        const failures = ended.flatMap((lane) => (lane.status === "rejected" ? [String(lane.reason)] : []));
        expect(failures, `VARVE_SEED=${seed}`).toEqual([]);
        const kills = ended.flatMap((lane) => (lane.status === "fulfilled" ? [lane.value] : []));
        const [all, interrupted] = [sum(kills.map((one) => one.all)), sum(kills.map((one) => one.interrupted))];
        process.stdout.write(`${all} processes killed, ${interrupted} of them in the middle of an operation\n`);
        expect(all).toBeGreaterThan((sequencesOfALane * lanes) / 20);
        // A third to a half of them, as the moment is chosen by what the last one of the kind took; of a few it may be fewer.
        expect(interrupted).toBeGreaterThan(all / (thorough ? 4 : 10));
      },
      limit,
    );
  },
);

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
