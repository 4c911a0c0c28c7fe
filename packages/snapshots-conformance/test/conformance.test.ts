import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeSnapshotter, snapshotterCases } from "@varve/snapshots-conformance";
import type { SnapshotterNeed, TestFunction } from "@varve/snapshots-conformance";
import { afterAll, describe, expect, it, test } from "vitest";
import { commandAttributes, whyNoAttributes } from "./toy-attributes.ts";
import { commandMounter } from "./toy-files.ts";
import { toyOpener } from "./toy-opener.ts";
import { toyLayers } from "./toy.ts";

const root = process.geteuid?.() === 0;
const base = mkdtempSync(join(tmpdir(), "varve-conformance-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

describeSnapshotter("toy", {
  describe,
  it,
  mounter: root ? commandMounter : undefined,
  layers: toyLayers,
  // It changes the owners in its copies.
  idMappedMounts: true,
  xattrs: whyNoAttributes(base) === undefined ? commandAttributes : undefined,
  open: toyOpener(base),
});

test("names of cases are unique, also as places", () => {
  const names = snapshotterCases.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  const places = new Set(names.map((name) => name.replaceAll(/[^a-zA-Z0-9]+/g, "-").slice(0, 100)));
  expect(places.size).toBe(names.length);
});

describe("a case that the snapshotter lacks something for is shown as skipped, with the reason", () => {
  test("as it says", () => {
    const { ran, skipped } = registered(["rebase"]);
    expect(skipped).toContain("what was filled before it had a parent shows the parent below (lacks mount, rebase)");
    expect(skipped).toContain("a snapshot that has a parent keeps it (lacks rebase)");
    expect(ran).toContain("a cleanup takes nothing that a snapshot owns");
  });

  test("mounts without a mounter, and layers if none is named", () => {
    const { skipped } = registered([]);
    expect(skipped).toContain("a layer that comes staged has its files (lacks mount, layers, staged-layer)");
    expect(skipped).toContain("every generation sees all generations below (lacks mount)");
    const able = { mounter: commandMounter, idMappedMounts: true, xattrs: commandAttributes };
    const named = registered([], { ...able, layers: { staged: toyLayers.staged } });
    expect(named.ran).toContain("a layer that comes staged has its files");
    expect(named.skipped).toHaveLength(3);
    expect(named.skipped).toContain("a layer that comes committed has its files (lacks committed-layer)");
  });

  test("what the mounter, the filesystem and Node cannot do, if nobody says that they can", () => {
    const { skipped } = registered([], { mounter: commandMounter, layers: toyLayers });
    expect(skipped.toSorted()).toEqual([
      "a new and empty snapshot with an id mapping belongs to the mapped root (lacks id-mapped-mount)",
      "an id mapping does not show in other snapshots of the same parent (lacks id-mapped-mount)",
      "extended attributes of files and directories go to the next generations (lacks xattrs)",
      "mapped ids show to a program, in what is there and in what is changed (lacks id-mapped-mount)",
    ]);
  });
});

function registered(lacks: readonly SnapshotterNeed[], more: object = {}): { ran: string[]; skipped: string[] } {
  const [ran, skipped]: [string[], string[]] = [[], []];
  const register: TestFunction = Object.assign((name: string) => ran.push(name), {
    skip: (name: string) => skipped.push(name),
  });
  const options = { describe: (_: string, body: () => void) => body(), it: register, open: toyOpener(base) };
  describeSnapshotter("lacking", { ...options, lacks, ...more });
  expect(ran.length + skipped.length).toBe(snapshotterCases.length);
  return { ran, skipped };
}
