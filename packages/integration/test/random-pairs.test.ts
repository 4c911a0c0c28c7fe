import { mkdirSync, mkdtempSync, readFileSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLayerWriter, listChanges, packLayer } from "@varve/archive";
import type { Trees } from "@varve/archive";
import { exec } from "@varve-tools/corpus";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOf } from "../src/faults/codes.ts";
import { whyNoFaults } from "../src/faults/missing.ts";
import { chooseSeed, randomFrom } from "../src/faults/random.ts";
import { layerOf } from "../src/layers/layer-of.ts";
import { randomEntry } from "../src/layers/random-entry.ts";
import { rounds } from "../src/rounds.ts";
import { compareTrees, readTree } from "../src/tree.ts";
import type { TreeEntry } from "../src/tree.ts";

const missing = await whyNoFaults([]);
const pairs = rounds(40, 5);
const edits = 800;
const options = {
  types: ["file", "file", "directory", "directory", "symlink", "hardlink", "fifo", "char"],
  depth: 4,
  whiteouts: 30,
  opaques: 300,
  size: 3000,
} as const;

let disk = "";

// In memory, for on a disk it would be the disk that takes the time.
beforeAll(async () => {
  if (missing !== undefined) return;
  disk = mkdtempSync(join(tmpdir(), "varve-pairs-"));
  await exec("mount", ["-t", "tmpfs", "none", disk]);
});

afterAll(async () => {
  if (disk === "") return;
  await exec("umount", [disk]);
  rmdirSync(disk);
});

function apply(root: string, layer: Buffer): void {
  const writer = createLayerWriter(root);
  try {
    writer.write(layer);
    writer.end();
  } finally {
    writer.abort();
  }
}

/** Changes a tree by many layers of one entry each. Some do not fit what is there, and are refused. */
function change(root: string, random: () => number): void {
  for (let count = 0; count < edits; count += 1) {
    try {
      apply(root, layerOf([randomEntry(random, options)]));
    } catch (error) {
      if (codeOf(error) !== "ERR_INVALID_DATA") throw error;
    }
  }
}

function pack(trees: Trees): Buffer {
  return Buffer.concat([...packLayer(trees)].map((block) => Buffer.from(block)));
}

/** GNU tar does not notice that a fifo or device has several names. */
function asGnuKeeps(tree: ReadonlyMap<string, TreeEntry>): Map<string, TreeEntry> {
  const kept = ["file", "link", "directory"];
  return new Map(
    [...tree].map(([path, entry]) => [path, kept.includes(entry.type) ? entry : { ...entry, firstLink: "" }]),
  );
}

describe.skipIf(missing !== undefined)(
  `random trees (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    test(`${pairs} pairs: the layer of the difference, and one of GNU tar, give the upper tree again`, async () => {
      const seed = chooseSeed();
      process.stdout.write(`VARVE_SEED=${seed}\n`);
      const random = randomFrom(seed);
      let entries = 0;
      // What is removed now and then takes much with it: it goes on until there was something to compare.
      for (let round = 0; round < pairs || entries < pairs * 20; round += 1) {
        const [lower, upper, applied, unpacked] = ["lower", "upper", "applied", "unpacked"].map((name) =>
          join(disk, `${name}-${round}`),
        ) as [string, string, string, string];
        for (const root of [lower, unpacked]) mkdirSync(root);
        change(lower, random);
        for (const copy of [upper, applied]) await exec("cp", ["-a", lower, copy]);
        change(upper, random);
        const expected = readTree(upper);
        apply(applied, pack({ lower, upper }));
        expect(compareTrees(readTree(applied), expected), `round ${round}`).toEqual([]);
        expect([...listChanges({ lower: applied, upper })], `round ${round}`).toEqual([]);
        const tar = join(disk, "gnu.tar");
        await exec("tar", ["-c", "--format=posix", "--xattrs", "--xattrs-include=*", "-C", upper, "-f", tar, "."]);
        apply(unpacked, readFileSync(tar));
        expect(compareTrees(asGnuKeeps(readTree(unpacked)), asGnuKeeps(expected)), `round ${round}, GNU tar`).toEqual(
          [],
        );
        entries += expected.size;
        await exec("rm", ["-r", lower, upper, applied, unpacked, tar]);
      }
      process.stdout.write(`${entries} names\n`);
    });
  },
);
