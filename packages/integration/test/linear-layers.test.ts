import { mkdirSync, mkdtempSync, rmdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLayerWriter, settleLayer } from "@varve/archive";
import type { LowerQuestions } from "@varve/archive";
import { exec } from "@varve-tools/corpus";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import { dir, file, hardlink, layerOf, opaque, symlink, whiteout } from "../src/layers/layer-of.ts";
import type { Item } from "../src/layers/layer-of.ts";
import { rounds } from "../src/rounds.ts";

const missing = await whyNoFaults([]);

interface Growing {
  readonly name: string;
  /** The larger of the two sizes, when thorough; else it is half of that. */
  readonly n: number;
  layer(n: number): readonly Item[];
  /** What is there before. */
  lower?(root: string, n: number): void;
}

const times = <T>(n: number, make: (at: number) => T): T[] => Array.from({ length: n }, (_, at) => make(at));
const deep = (depth: number): string => times(depth, () => "d").join("/");

const cases: readonly Growing[] = [
  { name: "entries in one directory", n: 40_000, layer: (n) => times(n, (at) => file(`f${at}`)) },
  {
    name: "opaque markers of one directory, with a file after each",
    n: 10_000,
    layer: (n) => [dir("a"), ...times(n, (at) => [opaque("a"), file(`a/f${at}`)]).flat()],
    lower: (root) => mkdirSync(join(root, "a")),
  },
  {
    name: "an opaque marker again and again, above a thousand files",
    n: 100_000,
    layer: (n) => [dir("a"), file("a/own"), ...times(n, () => opaque("a"))],
    lower: (root) => {
      mkdirSync(join(root, "a"));
      times(1000, (at) => writeFileSync(join(root, "a", `lower${at}`), ""));
    },
  },
  {
    name: "opaque markers of the root, with a directory after each",
    n: 10_000,
    layer: (n) => times(n, (at) => [whiteout(".wh..opq"), dir(`d${at}`)]).flat(),
  },
  {
    name: "whiteouts of lower files",
    n: 20_000,
    layer: (n) => times(n, (at) => whiteout(`a/f${at}`)),
    lower: (root, n) => {
      mkdirSync(join(root, "a"));
      times(n, (at) => writeFileSync(join(root, "a", `f${at}`), ""));
    },
  },
  { name: "whiteouts of one name", n: 60_000, layer: (n) => times(n, () => whiteout("a/f")) },
  {
    name: "hard links to one file",
    n: 20_000,
    layer: (n) => [file("f"), ...times(n, (at) => hardlink(`l${at}`, "f"))],
  },
  {
    name: "hard links to a lower file",
    n: 20_000,
    layer: (n) => times(n, (at) => hardlink(`l${at}`, "lower")),
    lower: (root) => writeFileSync(join(root, "lower"), ""),
  },
  {
    name: "hard links, each to the one before",
    n: 20_000,
    layer: (n) => [file("l0"), ...times(n, (at) => hardlink(`l${at + 1}`, `l${at}`))],
  },
  { name: "files in a deep directory", n: 12_000, layer: (n) => times(n, (at) => file(`${deep(200)}/f${at}`)) },
  {
    name: "files in two deep directories by turns",
    n: 6000,
    layer: (n) => times(n, (at) => file(`${at % 2}/${deep(200)}/f${at}`)),
  },
  {
    name: "files in many directories by turns, more than are held open",
    n: 16_000,
    layer: (n) => times(n, (at) => file(`a/b/c/d${at % 300}/f${at}`)),
  },
  {
    name: "files through a link",
    n: 20_000,
    layer: (n) => [dir("a"), symlink("l", "a"), ...times(n, (at) => file(`l/f${at}`))],
  },
  { name: "a file again and again", n: 12_000, layer: (n) => times(n, (at) => file("f", String(at))) },
  {
    name: "a directory replaced by a file and made again",
    n: 10_000,
    layer: (n) => times(n, (at) => (at % 2 === 0 ? [dir("d"), file("d/f")] : [file("d")])).flat(),
  },
  { name: "directories beside each other", n: 20_000, layer: (n) => times(n, (at) => dir(`d${at}`)) },
  {
    name: "opaque markers of one directory",
    n: 100_000,
    layer: (n) => [dir("a"), file("a/f"), ...times(n, () => opaque("a"))],
    lower: (root) => {
      mkdirSync(join(root, "a"));
      times(50, (at) => writeFileSync(join(root, "a", `lower${at}`), ""));
    },
  },
];

const factor = 8;
/** Quadratic cost is 64 times as much. What lies between is for the noise of a busy machine. */
const mostRatio = 20;

interface Cost {
  /** Microseconds of the processor. */
  readonly apply: number;
  readonly settle: number;
}

let disk = "";

// In memory, for on a disk others are at work, and what was removed before counts.
beforeEach(async () => {
  disk = mkdtempSync(join(tmpdir(), "varve-linear-"));
  await exec("mount", ["-t", "tmpfs", "-o", "nr_inodes=0", "none", disk]);
});

afterEach(async () => {
  await exec("umount", ["-l", disk]);
  rmdirSync(disk);
});

function cpu<T>(work: () => T): readonly [microseconds: number, result: T] {
  const before = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(before);
  return [user + system, result];
}

function apply(layer: Buffer, root: string, target: "directory" | "overlay"): LowerQuestions | undefined {
  const writer = createLayerWriter(root, { target });
  for (let at = 0; at < layer.length; at += 1 << 18) writer.write(layer.subarray(at, at + (1 << 18)));
  return writer.end().questions;
}

async function costOf(each: Growing, n: number, target: "directory" | "overlay"): Promise<Cost> {
  const layer = layerOf(each.layer(n));
  const place = mkdtempSync(join(disk, "run-"));
  const [root, lower] = [join(place, "root"), join(place, "lower")];
  for (const path of [root, lower]) mkdirSync(path);
  each.lower?.(target === "directory" ? root : lower, n);
  const [microseconds, questions] = cpu(() => apply(layer, root, target));
  const settled = questions === undefined ? undefined : cpu(() => settleLayer(root, lower, questions));
  return { apply: microseconds, settle: settled?.[0] ?? 0 };
}

/**
 * How often the cost of few the cost of many is. Both are measured again while that looks bad, and the least of each counts: others
 * who are at work on the machine add to a cost, and take nothing from it.
 */
async function ratios(each: Growing, target: "directory" | "overlay"): Promise<Cost> {
  const most = rounds(each.n, each.n / 2);
  let [few, many]: [Cost, Cost] = [worst, worst];
  const ratio = (of: keyof Cost): number => (many[of] < quick ? 1 : many[of] / few[of]);
  for (let attempt = 0; attempt < 6 && !(ratio("apply") <= mostRatio && ratio("settle") <= mostRatio); attempt += 1) {
    few = least(few, await costOf(each, most / factor, target));
    many = least(many, await costOf(each, most, target));
  }
  process.stdout.write(
    `${target}, ${each.name}: ${JSON.stringify(few)}, ${factor} times as many: ${JSON.stringify(many)}\n`,
  );
  return { apply: ratio("apply"), settle: ratio("settle") };
}

const worst: Cost = { apply: Infinity, settle: Infinity };
/** What takes less than this for many, in microseconds, is not worth a question. */
const quick = 20_000;

function least(a: Cost, b: Cost): Cost {
  return { apply: Math.min(a.apply, b.apply), settle: Math.min(a.settle, b.settle) };
}

describe.skipIf(missing !== undefined)(
  `eight times as much costs about eight times as much (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    describe.each(["directory", "overlay"] as const)("for the target %s", (target) => {
      test.each(cases)("$name", async (each) => {
        const { apply: applied, settle } = await ratios(each, target);
        expect(applied).toBeLessThan(mostRatio);
        expect(settle).toBeLessThan(mostRatio);
      });
    });
  },
);
