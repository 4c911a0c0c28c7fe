import { extract } from "tar-stream";
import { expect, test } from "vitest";
import { collect, streamOf, tarOf } from "./layer-bytes.ts";
import { base, open } from "./layer-store-scene.ts";
import { tempDirectory } from "./temp.ts";

async function namesIn(archive: Buffer): Promise<string[]> {
  const names: string[] = [];
  const tar = extract();
  tar.end(archive);
  for await (const entry of tar) {
    names.push(entry.header.name);
    entry.resume();
  }
  return names;
}

// S1.73
test("the archive from a layer further down has all that changed since, the same each time", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const store = await client.layerStore();
  const bottom = await store.register(streamOf(base));
  const second = await tarOf({ "etc/second": "2", "etc/gone": "2" });
  const middle = await store.register(streamOf(second), { parent: bottom.chainId });
  const third = await tarOf({ "etc/.wh.gone": "", "etc/.wh.base": "", "etc/third": "3" });
  const top = await store.register(streamOf(third), { parent: middle.chainId });

  const archive = await collect(top.tarStreamFrom(bottom.chainId));
  expect(await namesIn(archive)).toEqual(["etc/", "etc/.wh.base", "etc/second", "etc/third"]);
  expect((await collect(top.tarStreamFrom(bottom.chainId))).equals(archive)).toBe(true);
  const flat = await store.register(streamOf(archive), { parent: bottom.chainId });
  expect(flat).toMatchObject({ depth: 2, diffSize: 2 });

  expect(await namesIn(await collect(top.tarStreamFrom()))).toEqual(["./", "etc/", "etc/second", "etc/third"]);
  expect(await namesIn(await collect(top.tarStreamFrom(middle.chainId)))).toEqual([
    "etc/",
    "etc/.wh.base",
    "etc/.wh.gone",
    "etc/third",
  ]);
});

// S1.73
test("an archive from a layer that this one does not stand on is refused, and nothing is left of it", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const store = await client.layerStore();
  const bottom = await store.register(streamOf(base));
  const top = await store.register(streamOf(await tarOf({ a: "a" })), { parent: bottom.chainId });
  const beside = await store.register(streamOf(await tarOf({ b: "b" })), { parent: bottom.chainId });
  for (const other of [top.chainId, beside.chainId]) {
    await expect(collect(top.tarStreamFrom(other))).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  }
  await top.release();
  await expect(collect(top.tarStreamFrom(bottom.chainId))).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  for await (const { kind } of (await client.snapshotter()).walk()) expect(kind).toBe("committed");
});
