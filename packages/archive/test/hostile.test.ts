import { mkdirSync, mkdtempSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  compareTrees,
  differences,
  type HostileLayers,
  hostileLayers,
  makeCanary,
  problemsWith,
  type Tree,
} from "@varve-tools/hostile-layers";
import { afterAll, describe, expect, test } from "vitest";
import { ways } from "./hostile-ways.ts";
import { isRoot, Sandbox } from "./sandbox.ts";

const world = mkdtempSync(join(tmpdir(), "varve-hostile-"));
const roots = join(world, "roots");
mkdirSync(roots);
const canary = makeCanary(world, roots);
const vectors = hostileLayers(canary.path);

afterAll(() => execFileSync("rm", ["-rf", world]));

/** What one way to apply the layers came to: the tree, or what was thrown. */
function outcome(way: keyof typeof ways, { layers, limits }: HostileLayers): Tree | Error {
  using box = new Sandbox(roots);
  try {
    return ways[way](box, layers, limits);
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}

/** A line for everything that is not as it must be. */
function problems(vector: HostileLayers): string[] {
  const lines: string[] = [];
  const found = Object.keys(ways).map((way) => [way, outcome(way as keyof typeof ways, vector)] as const);
  for (const [way, result] of found) {
    lines.push(...check(vector, result).map((line) => `${way}: ${line}`));
    lines.push(...canary.changes().map((line) => `${way}: canary: ${line}`));
  }
  const [first, ...others] = found;
  if (first === undefined || first[1] instanceof Error || lines.length > 0) return lines;
  const parts = "tree" in vector.expect && vector.expect.partsLinks === true;
  for (const [way, result] of others) {
    if (result instanceof Error) continue;
    const differing = compareTrees(withoutRoot(result), withoutRoot(first[1]), parts ? ["inode"] : []);
    lines.push(...differing.map((line) => `${way}: ${line}`));
  }
  return lines;
}

function check({ expect: expected, layers }: HostileLayers, result: Tree | Error): string[] {
  if ("tree" in expected) {
    return result instanceof Error ? [`refused: ${result.message.slice(0, 400)}`] : differences(result, expected);
  }
  const layer = layers[expected.layer ?? layers.length - 1];
  if (layer === undefined) throw new Error("no such layer");
  return result instanceof Error
    ? problemsWith(result, expected, layer)
    : [`not refused: ${[...result.keys()].join(" ").slice(0, 200)}`];
}

/** The root is the snapshotter's own directory; where an entry speaks of it the vector says what it must be. */
function withoutRoot(tree: Tree): Tree {
  return new Map([...tree].filter(([path]) => path !== ""));
}

describe.skipIf(!isRoot)("hostile and odd layers, in place and in an overlay (needs root)", () => {
  test("there are enough of them, each with a name of its own", () => {
    expect(new Set(vectors.map(({ name }) => name)).size).toBe(vectors.length);
    expect(vectors.length).toBeGreaterThan(400);
  });

  test.each(vectors)("$name: $about", (vector) => {
    expect(problems(vector)).toEqual([]);
  });
});
