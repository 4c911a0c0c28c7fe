import { compareTrees, hostileLayers } from "@varve-tools/hostile-layers";
import type { HostileLayers } from "@varve-tools/hostile-layers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { unpackVector } from "../src/hostile/unpack-vector.ts";
import { openWorkshop } from "../src/hostile/workshop.ts";
import type { Workshop } from "../src/hostile/workshop.ts";

const isRoot = process.geteuid?.() === 0;
/** By theme: a test for each of hundreds of vectors would say less. */
const themes = Object.groupBy(hostileLayers("/outside"), ({ name }) => name.slice(0, name.indexOf("/")));

describe.skipIf(!isRoot)("hostile and odd layers in real snapshots (needs root)", () => {
  let workshop: Workshop;
  let vectors: readonly HostileLayers[];
  beforeAll(async () => {
    workshop = await openWorkshop();
    vectors = hostileLayers(workshop.canary.path);
  });
  afterAll(() => workshop[Symbol.asyncDispose]());

  for (const theme of Object.keys(themes)) {
    test(`${theme}: overlay and native refuse the same and give the same trees, and nothing else changes`, async () => {
      const problems: string[] = [];
      for (const vector of vectors.filter(({ name }) => name.startsWith(`${theme}/`))) {
        problems.push(...(await problemsOf(workshop, vector)).map((line) => `${vector.name}: ${line}`));
      }
      expect(problems).toEqual([]);
    });
  }
});

async function problemsOf(workshop: Workshop, vector: HostileLayers): Promise<string[]> {
  const native = await unpackVector(workshop, "native", vector);
  const problems = [...native.problems];
  const parts = "tree" in vector.expect && vector.expect.partsLinks === true;
  // A lowest layer waits for no parent: it is never alone.
  const ways = vector.layers.length > 1 ? (["overlay", "overlay alone"] as const) : (["overlay"] as const);
  for (const way of ways) {
    const overlay = await unpackVector(workshop, way, vector);
    problems.push(...overlay.problems);
    if (overlay.tree === undefined || native.tree === undefined) continue;
    const differing = compareTrees(overlay.tree, native.tree, parts ? ["inode"] : []);
    problems.push(...differing.map((line) => `${way} and native: ${line}`));
  }
  return problems;
}
