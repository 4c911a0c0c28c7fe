import { labelGidMapping, labelUidMapping } from "@varve/snapshots";
import { openOverlaySnapshotter } from "@varve/snapshots-overlay";
import { expect, test } from "vitest";
import { tempRoot } from "./temp-root.ts";

// U-OVL.11 and the tests of that name of section 5.2

const uid = "0:100000:65536,65536:1000:1";
const gid = "0:200000:65536";
const labels = { [labelUidMapping]: uid, [labelGidMapping]: gid };
const mapped = [`uidmap=${uid}`, `gidmap=${gid}`];

// RemappedBind
test("a bind mount of a snapshot with mappings has them as options", async () => {
  using base = tempRoot();
  await using snapshotter = await openOverlaySnapshotter({ root: base.path, durability: "none" });
  const mounts = await snapshotter.prepare("a", undefined, { labels });
  expect(mounts.map(({ options }) => options)).toEqual([["rw", "rbind", ...mapped]]);
  expect(await snapshotter.mounts("a")).toEqual(mounts);
  const view = await snapshotter.view("view", undefined, { labels });
  expect(view.map(({ options }) => options)).toEqual([["ro", "rbind", ...mapped]]);
});

// RemappedActive
test("an overlay of a snapshot with mappings has them as its last options", async () => {
  using base = tempRoot();
  await using snapshotter = await openOverlaySnapshotter({ root: base.path, durability: "none" });
  await snapshotter.prepare("a", undefined);
  await snapshotter.commit("A", "a");
  const mounts = await snapshotter.prepare("b", "A", { labels });
  expect(mounts[0]?.type).toBe("overlay");
  expect(mounts[0]?.options.slice(-2)).toEqual(mapped);
  expect(await snapshotter.mounts("b")).toEqual(mounts);
  await snapshotter.prepare("late", undefined, { labels });
  expect((await snapshotter.rebase("late", "A"))[0]?.options.slice(-2)).toEqual(mapped);
});

// RemappedInvalidMappings
test.each([
  ["malformed", { [labelUidMapping]: "0:1", [labelGidMapping]: gid }],
  ["overlapping", { [labelUidMapping]: "0:1000:10,5:2000:10", [labelGidMapping]: gid }],
  ["empty", { [labelUidMapping]: "", [labelGidMapping]: gid }],
  ["another option", { [labelUidMapping]: `${uid},suid`, [labelGidMapping]: gid }],
  ["missing for groups", { [labelUidMapping]: uid }],
  ["missing for users", { [labelGidMapping]: gid }],
])("a mapping that is %s is refused, and no snapshot is made", async (_, wrong) => {
  using base = tempRoot();
  await using snapshotter = await openOverlaySnapshotter({ root: base.path, durability: "none" });
  const options = { labels: wrong };
  for (const make of [
    () => snapshotter.prepare("a", undefined, options),
    () => snapshotter.view("a", undefined, options),
  ]) {
    await expect(make()).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT", message: expect.stringContaining("a") });
  }
  expect(await Array.fromAsync(snapshotter.walk())).toEqual([]);
});
