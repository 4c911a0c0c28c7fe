import { AssertionError } from "node:assert";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runSnapshotterCase, snapshotterCases } from "@varve/snapshots-conformance";
import type { SnapshotterCase } from "@varve/snapshots-conformance";
import { CodedError } from "@varve/errors";
import { afterAll, describe, expect, test } from "vitest";
import type { Sabotage } from "./sabotage.ts";
import { saboteurs } from "./saboteurs/all.ts";
import { commandAttributes, whyNoAttributes } from "./toy-attributes.ts";
import { commandMounter } from "./toy-files.ts";
import { toyOpener } from "./toy-opener.ts";
import { toyLayers } from "./toy.ts";

const root = process.geteuid?.() === 0;
const base = mkdtempSync(join(tmpdir(), "varve-saboteurs-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const table = new Map(Object.entries(saboteurs));

/** What comes of the case: a toy that fails by a slip of its own, such as a TypeError, is not what it should catch. */
async function outcome(testCase: SnapshotterCase, sabotage: Sabotage | undefined): Promise<string> {
  const open = toyOpener(base, sabotage);
  return runSnapshotterCase(testCase, {
    open,
    mounter: commandMounter,
    layers: toyLayers,
    xattrs: commandAttributes,
  }).then(
    () => "passes",
    (error: unknown) => {
      const meant = error instanceof AssertionError || error instanceof CodedError || isErrno(error);
      return meant ? "catches" : String(error);
    },
  );
}

function obstacleTo({ needs }: SnapshotterCase): string | undefined {
  if (needs.includes("mount") && !root) return "needs root";
  return needs.includes("xattrs") ? whyNoAttributes(base) : undefined;
}

function isErrno(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}

test("every case has a broken snapshotter that it catches", () => {
  const names = snapshotterCases.map(({ name }) => name);
  expect(names.filter((name) => !table.has(name))).toEqual([]);
  expect([...table.keys()].filter((name) => !names.includes(name))).toEqual([]);
});

describe("a snapshotter that is broken is caught:", () => {
  for (const testCase of snapshotterCases) {
    const obstacle = obstacleTo(testCase);
    test.skipIf(obstacle !== undefined)(
      `${testCase.name}${obstacle === undefined ? "" : ` (${obstacle})`}`,
      async () => {
        expect(await outcome(testCase, table.get(testCase.name))).toBe("catches");
      },
    );
  }
});
