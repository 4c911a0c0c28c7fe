import type { CollectibleResource, Item } from "@varve/metadata";
import { expect, test } from "vitest";
import { d, openWorld, textOf } from "./gc-world.ts";

const ref = (type: string): string => `containerd.io/gc.ref.${type}`;

const item = (id: string): Item => ({ namespace: "default", type: "test", id });

// U-GC.7, C-GC.5, C-GC.6
test("things of a type from outside are roots while active, are held, referred to and refer, and are removed", async () => {
  const existing = new Map(
    ["active", "leased", "lapsed", "referred", "unused", "kept by it"].map((id) => [id, item(id)]),
  );
  const broken = new Error("busy");
  const resource: CollectibleResource = {
    type: "test",
    all: () => existing.values(),
    active: async () => [item("active")],
    references: ({ id }) =>
      id === "active" ? [{ namespace: "default", type: "content", id: d(3) }, item("kept by it")] : [],
    remove: async ({ id }) => {
      if (id === "unused") throw broken;
      existing.delete(id);
    },
  };
  await using world = await openWorld([resource]);
  world.image("a", 1);
  world.blob(1, { labels: { [ref("test.x")]: "referred", [ref("testbad")]: "unused" } });
  world.blob(2, { labels: { "containerd.io/gc.bref.test": "leased" } });
  world.blob(3, { labels: { [ref("content")]: d(4) } });
  for (const number of [4, 5]) world.blob(number);
  world.lease("live", ["test leased"], { labels: { "containerd.io/gc.flat": "" } });
  world.lease("over", ["test lapsed"], { expiresAt: 1 });
  const { removed, failed } = await world.metadata.collect();
  expect(removed.map(textOf).toSorted()).toEqual(["content 5", "lease over", "test lapsed"]);
  expect(failed).toEqual([{ item: item("unused"), error: broken }]);
  expect([...existing.keys()].toSorted()).toEqual(["active", "kept by it", "leased", "referred", "unused"]);
  expect(await world.metadata.why(item("kept by it"))).toMatchObject({
    kept: true,
    path: [{ by: "active" }, { by: "test" }],
  });
});

test.each(["content", "snapshot", "a.b", ""])("a type from outside cannot be called %j", async (type) => {
  await using world = await openWorld([{ type, all: () => [], active: () => [], remove: async () => {} }]);
  await expect(world.metadata.collect()).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
});

test("a type from outside that cannot tell what there is stops the run: what it refers to is not known", async () => {
  const failure = new Error("broken");
  const all = (): Promise<Iterable<Item>> => Promise.reject(failure);
  await using world = await openWorld([{ type: "test", all, active: () => [], remove: async () => {} }]);
  world.blob(1);
  await expect(world.metadata.collect()).rejects.toBe(failure);
  expect(world.records()).toEqual(["content 1"]);
});
