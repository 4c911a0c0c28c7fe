import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Metadata } from "@varve/metadata";
import { describeSnapshotter } from "@varve/snapshots-conformance";
import type { Snapshotter } from "@varve/snapshots";
import { afterAll, describe, it } from "vitest";
import { AbleSnapshotter, FakeSnapshotter } from "./fake-snapshotter.ts";
import { openOver } from "./snapshot-store.ts";

const base = mkdtempSync(join(tmpdir(), "varve-metadata-"));
const opened: Metadata[] = [];
afterAll(async () => {
  await Promise.all(opened.map((metadata) => metadata.close()));
  rmSync(base, { recursive: true, force: true });
});

/** Opens views; a place that was opened before is opened again, over the same snapshotter. */
function opener(name: string, make: () => Snapshotter): (place: string) => Promise<Snapshotter> {
  const backends = new Map<string, Snapshotter>();
  return async (place) => {
    const backend = backends.get(place) ?? make();
    backends.set(place, backend);
    const metadata = await openOver(join(base, name, place), backend);
    opened.push(metadata);
    return metadata.namespace("default").snapshotter("fake");
  };
}

/** One that has a layer in each state. */
function able(): Snapshotter {
  const snapshotter = new AbleSnapshotter();
  for (const state of ["committed", "staged"] as const) snapshotter.layers.set(state, state);
  return snapshotter;
}

// C-MD.6
describeSnapshotter("metadata over one with all capabilities", {
  describe,
  it,
  // There are no files.
  lacks: ["bind", "usage", "id-mapping"],
  layers: { committed: { target: "committed", file: "none" }, staged: { target: "staged", file: "none" } },
  open: opener("able", able),
});

describeSnapshotter("metadata over one without capabilities", {
  describe,
  it,
  lacks: ["bind", "usage", "id-mapping", "rebase", "cleanup", "check"],
  open: opener("plain", () => new FakeSnapshotter()),
});
