import { spawnSync } from "node:child_process";
import { currentOwner } from "@varve/locks";
import { labelOwner } from "@varve/snapshots";
import { removeStaleExtractions } from "@varve/unpack";
import { expect, test } from "vitest";
import { FakeSnapshotter } from "./fakes.ts";

/** The name of a process that is no more. */
function deadOwner(): string {
  const { pid } = spawnSync(process.execPath, ["-e", ""]);
  const [, started = "", boot = ""] = currentOwner().split("/");
  return `${pid}/${started}/${boot}`;
}

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
