import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { apply, isRoot, Sandbox } from "./sandbox.ts";
import { dir, entry, extended, file, type Spec, whiteout } from "./tar-builder.ts";

interface Growing {
  readonly name: string;
  /** The larger of the two sizes. */
  readonly n: number;
  /** How often the smaller cost the larger may cost at most, where the names make the archive grow faster than its entries do. */
  readonly most?: number;
  layer(n: number): readonly (Buffer | Spec)[];
  /** What is in the root before. */
  lower?(root: string): void;
}

const times = <T>(n: number, make: (at: number) => T): T[] => Array.from({ length: n }, (_, at) => make(at));
const deep = (depth: number): string => times(depth, () => "d").join("/");
const long = times(256, () => "n".repeat(254)).join("/");

const cases: readonly Growing[] = [
  {
    name: "nested directories, each with an entry",
    n: 2000,
    most: 30,
    layer: (n) => times(n, (at) => dir(deep(at + 1))),
  },
  {
    name: "opaque markers of one directory",
    n: 20_000,
    layer: (n) => [dir("a"), file("a/f"), ...times(n, () => whiteout("a/.wh..wh..opq"))],
    lower: (root) => {
      mkdirSync(join(root, "a"));
      times(50, (at) => writeFileSync(join(root, "a", `lower${at}`), ""));
    },
  },
  {
    name: "opaque markers of nested directories, from the deepest up",
    n: 1000,
    most: 40,
    layer: (n) => times(n, (at) => whiteout(`${deep(n - at)}/.wh..wh..opq`)),
  },
  { name: "whiteouts of nothing", n: 16_000, layer: (n) => times(n, (at) => whiteout(`a/.wh.f${at}`)) },
  { name: "names of 64 KiB", n: 600, layer: (n) => times(n, (at) => file(`${long}/f${at}`)) },
  { name: "global headers", n: 20_000, layer: (n) => times(n, () => extended("g", [["comment", "x"]])) },
  {
    name: "records of one extended header",
    n: 44_000,
    layer: (n) => [
      extended(
        "x",
        times(n, (at) => [`VENDOR.${at}`, "x"] as const),
      ),
      file("f"),
    ],
  },
  {
    name: "pieces of a sparse file",
    n: 20_000,
    layer: (n) => [
      {
        ...file("f", Buffer.alloc(n)),
        pax: { "GNU.sparse.size": String(n * 2), "GNU.sparse.map": times(n, (at) => `${at * 2},1`).join(",") },
      },
    ],
  },
];

const factor = 8;
/** Quadratic cost is 64 times as much. What lies between is for the noise of a busy machine. */
const mostRatio = 20;

function archive(parts: readonly (Buffer | Spec)[]): Buffer {
  return Buffer.concat([...parts.map((part) => (Buffer.isBuffer(part) ? part : entry(part))), Buffer.alloc(1024)]);
}

/** Time of the processor for one layer, in microseconds. */
function cost(each: Growing, n: number, target: "directory" | "overlay"): number {
  using box = new Sandbox();
  const bytes = archive(each.layer(n));
  const root = box.directory();
  if (target === "directory") each.lower?.(root);
  const before = process.cpuUsage();
  apply(bytes, root, { target });
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/** How often the cost of few the cost of many is, measured again while that looks bad: others are at work on the machine. */
function ratio(each: Growing, target: "directory" | "overlay", most: number): number {
  let [few, many] = [Infinity, Infinity];
  for (let attempt = 0; attempt < 6 && !(many / few <= most); attempt += 1) {
    few = Math.min(few, cost(each, each.n / factor, target));
    many = Math.min(many, cost(each, each.n, target));
  }
  return many / few;
}

describe.skipIf(!isRoot)("eight times as much costs about eight times as much (needs root)", () => {
  test.each(cases)("$name", { timeout: 120_000 }, (each) => {
    const most = each.most ?? mostRatio;
    expect(ratio(each, "directory", most), "in place").toBeLessThanOrEqual(most);
    expect(ratio(each, "overlay", most), "for an overlay").toBeLessThanOrEqual(most);
  });
});
