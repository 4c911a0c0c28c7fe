import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeSnapshotter, runSnapshotterCase, snapshotterCases } from "@varve/snapshots-conformance";
import type { Snapshotter } from "@varve/snapshots";
import { afterAll, describe, expect, it, test } from "vitest";
import { fileSaboteurs } from "./file-saboteurs.ts";
import { recordSaboteurs } from "./record-saboteurs.ts";
import type { Sabotage } from "./sabotage.ts";
import { commandMounter, Toy } from "./toy.ts";
import type { Place } from "./toy.ts";

const saboteurs = { ...recordSaboteurs, ...fileSaboteurs };
const root = process.geteuid?.() === 0;
const base = mkdtempSync(join(tmpdir(), "varve-conformance-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

/** Opens toys below a directory of their own; a place that was opened before is opened again. */
function opener(name: string, sabotage?: Sabotage): (place: string) => Snapshotter {
  const places = new Map<string, Place>();
  return (placeName) => {
    let place = places.get(placeName);
    if (place === undefined) {
      place = { root: join(base, name, placeName), entries: new Map(), next: 0, opened: 0 };
      mkdirSync(place.root, { recursive: true });
      places.set(placeName, place);
    }
    const toy = new Toy(place);
    return Object.assign(toy, sabotage?.(toy));
  };
}

describeSnapshotter("toy", { describe, it, mounter: root ? commandMounter : undefined, open: opener("toy") });

describe("every case catches a snapshotter that breaks its promise", () => {
  for (const testCase of snapshotterCases) {
    const privileged = testCase.needs.includes("mount");
    test.skipIf(privileged && !root)(`${testCase.name}${privileged ? " (needs root)" : ""}`, async () => {
      const sabotage = new Map(Object.entries(saboteurs)).get(testCase.name);
      if (sabotage === undefined) throw new Error("this case has no saboteur");
      const options = { open: opener("sabotaged", sabotage), mounter: commandMounter };
      const outcome = await runSnapshotterCase(testCase, options).then(
        () => "passed",
        () => "failed",
      );
      expect(outcome).toBe("failed");
    });
  }
});

test("no two cases have the same name, and no saboteur is without a case", () => {
  const names = snapshotterCases.map((testCase) => testCase.name);
  expect(new Set(names).size).toBe(names.length);
  expect(Object.keys(saboteurs).filter((name) => !names.includes(name))).toEqual([]);
});

test("a case that the snapshotter lacks something for is shown as skipped, with the reason", () => {
  const skipped: string[] = [];
  const run: string[] = [];
  const record = Object.assign((name: string) => run.push(name), { skip: (name: string) => skipped.push(name) });
  describeSnapshotter("lacking", {
    describe: (_, body) => body(),
    it: record,
    lacks: ["rebase"],
    open: opener("lacking"),
  });
  expect(run.length + skipped.length).toBe(snapshotterCases.length);
  expect(skipped).toContain("what was filled before it had a parent shows the parent below (lacks mount, rebase)");
  expect(skipped).toContain("a snapshot that has a parent keeps it (lacks rebase)");
  expect(run).toContain("a cleanup takes nothing that a snapshot owns");
});
