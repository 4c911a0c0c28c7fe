import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chainIds } from "@varve/digest";
import { exec } from "@varve-tools/corpus";
import { hostileLayers } from "@varve-tools/hostile-layers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { unmount } from "../src/faults/disk-image.ts";
import { whyNoFaults } from "../src/faults/missing.ts";
import { chooseSeed, randomFrom } from "../src/faults/random.ts";
import { file, layerOf } from "../src/layers/layer-of.ts";
import { breakages } from "../src/pulls/breakages.ts";
import { differences } from "../src/pulls/differences.ts";
import { randomLayers } from "../src/pulls/random-layers.ts";
import { forms, Shelf } from "../src/pulls/shelf.ts";
import type { ShelfImage, ShelfLayer } from "../src/pulls/shelf.ts";
import { openWays } from "../src/pulls/way.ts";
import type { Outcome, Way } from "../src/pulls/way.ts";
import { rounds, thorough } from "../src/rounds.ts";

const missing = await whyNoFaults([]);
/** `VARVE_IMAGES=500 VARVE_SEED=7` runs more, or the same again. */
const count = Number(process.env["VARVE_IMAGES"] ?? rounds(24, 8));
/** Not how long it may take, but when it hangs. */
const timeout = 300_000 + count * 20_000;

describe.skipIf(missing !== undefined)(
  `every way to unpack an image (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    const seed = chooseSeed();
    const random = randomFrom(seed);
    const shelf = new Shelf(randomFrom(seed + 1));
    let disk = "";
    let good: readonly Buffer[] = [];
    let ways: readonly [Way, ...Way[]];

    beforeAll(async () => {
      process.stdout.write(`VARVE_SEED=${seed}\n`);
      disk = mkdtempSync(join(tmpdir(), "varve-ways-"));
      // In memory, for on a disk it would be the disk that takes the time.
      await exec("mount", ["-t", "tmpfs", "none", disk]);
      ways = await openWays(disk, () => shelf.resolver());
    });
    afterAll(async () => {
      if (disk === "") return;
      for (const way of ways) await way[Symbol.asyncDispose]();
      await unmount(disk);
      rmdirSync(disk);
    });

    /** Pulls in every way. @returns what the plainest way came to, and a line for whatever another one did otherwise */
    async function pullEverywhere(
      image: ShelfImage,
    ): Promise<{ readonly plain: Outcome; readonly problems: string[] }> {
      const [plainest, ...others] = ways;
      const plain = await plainest.pull(image);
      const problems = plain.left.map((line) => `${plainest.name}: left ${line}`);
      for (const way of others) {
        const found = differences(await way.pull(image), plain, {
          sameSnapshotter: way.snapshotter === plainest.snapshotter,
        });
        problems.push(...found.map((line) => `${way.name}: ${line}`));
      }
      return { plain, problems };
    }

    /** Layers on one that no other image has: what became of another one changes nothing here. */
    function shelve(layers: readonly Buffer[]): [ShelfLayer, ...ShelfLayer[]] {
      const own = shelf.layer(layerOf([file(`own-${random()}`)]), "gzip");
      return [own, ...layers.map((tar) => shelf.layer(tar, pick(forms)))];
    }

    function pick<T>(values: readonly T[]): T {
      return values[Math.floor(random() * values.length)] as T;
    }

    // D2, D3, G-31, S0.2-S0.4, S4.10, S4.14a, U-UNP.11-U-UNP.13, U-UNP.18
    test(
      `${count} random images: each gives one tree, one chain and one set of labels`,
      async () => {
        let [pulled, entries] = [0, 0];
        for (let round = 0; round < count; round += 1) {
          // One in eight may end with a layer that does not fit.
          const made = await randomLayers(random, { scratch: join(disk, "scratch"), mayEndBadly: round % 8 === 7 });
          const { plain, problems } = await pullEverywhere(shelf.image(shelve(made.layers)));
          expect(problems, `image ${round}: ${String(plain.error)}`).toEqual([]);
          const top = plain.trees.get(plain.layers?.at(-1)?.chainId ?? "");
          // And the file of the layer below them.
          expect(top?.size, `image ${round}: ${String(plain.error)}`).toBe(made.entries && made.entries + 1);
          pulled += top === undefined ? 0 : 1;
          entries += top?.size ?? 0;
        }
        process.stdout.write(`${pulled} of ${count} unpacked, ${entries} entries\n`);
      },
      timeout,
    );

    // D2, S4.9, U-UNP.14, B13, N08: one error, by the same words, and nothing of the broken layer or above it
    test.each(breakages)("an image with $name fails alike", async (breakage) => {
      const { code, forms: possible } = breakage;
      // On a layer of their own each time, so that what became of another image changes nothing here.
      if (thorough || good.length === 0) good = (await randomLayers(random, { scratch: join(disk, "scratch") })).layers;
      const layers = shelve(good);
      const at = Math.floor(random() * layers.length);
      // Not one that comes twice: then it would not be known which of the two is told of.
      const own = layerOf([file(`own-${random()}`, "own".repeat(20_000))]);
      layers[at] = breakage.layer(shelf, own, pick(possible));
      const { plain, problems } = await pullEverywhere(shelf.image(layers));
      expect(problems).toEqual([]);
      expect(plain.error?.[0]).toMatch(new RegExp(`^${code} layer ${layers[at].blob.digest}: `));
      const chain = chainIds(layers.map(({ diffId }) => diffId)).slice(at);
      for (const { client, name } of ways) {
        const snapshotter = await client.snapshotter();
        const names = (await Array.fromAsync(snapshotter.walk())).map((snapshot) => snapshot.name);
        expect(
          names.filter((each) => chain.some((chainId) => chainId === each)),
          name,
        ).toEqual([]);
      }
    });

    // D3, G-31: with `VARVE_IMAGES=700`, all of them
    test(
      `${count} hostile and odd images: each is refused by the same words, or gives one tree`,
      async () => {
        const vectors = hostileLayers(join(disk, "outside")).filter(({ limits }) => limits === undefined);
        for (const vector of shuffled(vectors, random).slice(0, count)) {
          const image = shelf.image(shelve(vector.layers.map(({ bytes }) => Buffer.from(bytes))));
          const { plain, problems } = await pullEverywhere(image);
          expect(problems, vector.name).toEqual([]);
          // All ways could be wrong alike.
          expect(plain.error?.join("\n") ?? "", vector.name).not.toContain("ERR_INTERNAL");
        }
      },
      timeout,
    );
  },
);

function shuffled<T>(values: readonly T[], random: () => number): T[] {
  const left = [...values];
  return values.flatMap(() => left.splice(Math.floor(random() * left.length), 1));
}
