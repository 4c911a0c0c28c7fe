import { spawnSync } from "node:child_process";
import { currentOwner } from "@varve/locks";
import { labelOwner, snapshotFilter } from "@varve/snapshots";
import { removeStaleExtractions } from "@varve/unpack";
import { expect, test } from "vitest";
import { FakeSnapshotter } from "./fakes.ts";

/** The name of a process that is no more. */
function deadOwner(): string {
  const { pid } = spawnSync(process.execPath, ["-e", ""]);
  const [, started = "", boot = ""] = currentOwner().split("/");
  return `${pid}/${started}/${boot}`;
}

const info = { createdAt: new Date(0), updatedAt: new Date(0) };

// K10, K11, K13
test("only extractions of dead processes are removed", async () => {
  const snapshotter = new FakeSnapshotter();
  const owners = { dead: { [labelOwner]: deadOwner() }, ours: { [labelOwner]: currentOwner() } };
  await snapshotter.prepare("extract-1-aaaa sha256:dead", undefined, { labels: owners.dead });
  await snapshotter.prepare("extract-2-aaaa sha256:ours", undefined, { labels: owners.ours });
  await snapshotter.prepare("extract-3-aaaa sha256:unowned", undefined);
  await snapshotter.prepare("container", undefined, { labels: owners.dead });
  await snapshotter.prepare("extract-4-aaaa sha256:committed", undefined);
  await snapshotter.commit("extract-done", "extract-4-aaaa sha256:committed", { labels: owners.dead });
  expect(await removeStaleExtractions(snapshotter)).toEqual(["extract-1-aaaa sha256:dead"]);
  expect([...snapshotter.entries.keys()].toSorted()).toEqual([
    "container",
    "extract-2-aaaa sha256:ours",
    "extract-3-aaaa sha256:unowned",
    "extract-done",
  ]);
});

test("two processes may remove the same ones at once", async () => {
  const snapshotter = new FakeSnapshotter();
  await snapshotter.prepare("extract-1-aaaa sha256:dead", undefined, { labels: { [labelOwner]: deadOwner() } });
  snapshotter.hooks.remove = (name) => snapshotter.entries.delete(name);
  expect(await removeStaleExtractions(snapshotter)).toEqual([]);
});

// G-42
test("one that cannot be removed stops none of the others, and is told", async () => {
  const snapshotter = new FakeSnapshotter();
  const labels = { [labelOwner]: deadOwner() };
  for (const at of [1, 2, 3]) await snapshotter.prepare(`extract-${at}-aaaa sha256:dead`, undefined, { labels });
  const busy = new Error("busy");
  snapshotter.hooks.remove = (name) => {
    if (!name.startsWith("extract-3")) throw busy;
  };
  await expect(removeStaleExtractions(snapshotter)).rejects.toBe(busy);
  expect([...snapshotter.entries.keys()].map((key) => key.slice(0, 9))).toEqual(["extract-1", "extract-2"]);
});

test("the snapshotter is asked only for what may be stale", async () => {
  const snapshotter = new FakeSnapshotter();
  const asked: (readonly string[] | undefined)[] = [];
  snapshotter.walk = async function* (options: { filters?: readonly string[] | undefined } = {}) {
    asked.push(options.filters);
    yield* [];
  };
  await removeStaleExtractions(snapshotter);
  const matches = snapshotFilter(asked[0] ?? ["none"]);
  const labels = { [labelOwner]: "a" };
  expect(matches({ ...info, kind: "active", name: "extract-1-aaaa sha256:a", labels })).toBe(true);
  expect(matches({ ...info, kind: "committed", name: "extract-1-aaaa sha256:a", labels })).toBe(false);
  expect(matches({ ...info, kind: "active", name: "container extract-", labels })).toBe(false);
  expect(matches({ ...info, kind: "active", name: "extract-1-aaaa sha256:a", labels: {} })).toBe(false);
});
