import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "@varve-tools/corpus";
import { createKeyedLock } from "@varve/locks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import { chooseSeed, randomFrom } from "../src/faults/random.ts";
import { LayerHands } from "../src/layer-store/layer-hands.ts";
import { deepest } from "../src/layer-store/layer-model.ts";
import { backends, LayerStoreScene } from "../src/layer-store/layer-store-scene.ts";
import type { Backend } from "../src/layer-store/layer-store-scene.ts";
import { RandomSequences } from "../src/layer-store/random-sequence.ts";
import { rounds, thorough } from "../src/rounds.ts";

const missing = await whyNoFaults([]);
/** Side by side, each in a root of its own. */
const lanes = 2;
const sequencesOfALane = rounds(10_000, 400) / lanes / backends.length;
/** Milliseconds. */
const limit = thorough ? 3_600_000 : undefined;

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

async function runLane(backend: Backend, seed: number): Promise<void> {
  await using scene = await LayerStoreScene.open(backend);
  const locks = createKeyedLock();
  const hands = new LayerHands(() => scene.store({ locks, maxDepth: deepest }));
  const sequences = new RandomSequences(scene, hands, randomFrom(seed));
  for (let left = sequencesOfALane; left > 0; left -= 1) await sequences.run();
}

// Issue 8: random sequences against a simple model. S1.4, S1.10 to S1.13, S1.20, S1.30 to S1.35, C-LS.2, C-LS.3, C-LS.5
describe.skipIf(missing !== undefined).each(backends)(
  `random sequences over %s (privileged${missing === undefined ? "" : `: ${missing}`})`,
  (backend) => {
    test(
      `${sequencesOfALane * lanes} of them give the answers of the model, and leave what the model has, then nothing`,
      async () => {
        const seed = chooseSeed();
        const seeds = Array.from({ length: lanes }, (_, lane) => seed + lane);
        process.stdout.write(`layer store over ${backend}: VARVE_SEED=${seed}\n`);
        const failures = (await Promise.allSettled(seeds.map((one) => runLane(backend, one)))).flatMap((lane) =>
          lane.status === "rejected" ? [String(lane.reason)] : [],
        );
        expect(failures, `VARVE_SEED=${seed}`).toEqual([]);
      },
      limit,
    );
  },
);
