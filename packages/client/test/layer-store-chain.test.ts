import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Layer, LayerStore } from "@varve/client";
import { pack } from "tar-stream";
import { expect, test } from "vitest";
import { streamOf } from "./layer-bytes.ts";
import { open } from "./layer-store-scene.ts";
import { tempDirectory } from "./temp.ts";

const isRoot = process.geteuid?.() === 0;
const depth = 20;

/** A layer with a file of its own, and one that each layer replaces. */
async function tarNumber(index: number): Promise<Buffer> {
  const tar = pack();
  tar.entry({ name: "d/", type: "directory", mode: 0o1777 });
  tar.entry({ name: `d/${index}`, mode: 0o2751, uid: 1000 + index, gid: 2000 }, `${index}`);
  tar.entry({ name: "last", mode: 0o600 }, `${index}`);
  tar.finalize();
  return Buffer.concat(await Array.fromAsync(tar as AsyncIterable<Uint8Array>));
}

async function chainIn(store: LayerStore): Promise<Layer> {
  let top = await store.register(streamOf(await tarNumber(0)));
  for (let index = 1; index < depth; index += 1) {
    top = await store.register(streamOf(await tarNumber(index)), { parent: top.chainId });
  }
  return top;
}

// C-GD.1
test("each layer of a chain is seen through a read-write layer, with modes and owners, and changes are told against all", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const store = await client.layerStore();
  const top = await chainIn(store);
  expect(top.depth).toBe(depth);
  const box = await store.createRWLayer("box", { parent: top.chainId });
  const [mount] = await (await client.snapshotter()).mounts(box.snapshot);
  const files = mount?.source ?? "";
  expect(await readdir(join(files, "d"))).toHaveLength(depth);
  expect((await stat(join(files, "d"))).mode & 0o7777).toBe(0o1777);
  for (const index of [0, 7, depth - 1]) {
    const path = join(files, `d/${index}`);
    await expect(readFile(path, "utf8")).resolves.toBe(`${index}`);
    const { gid, mode, uid } = await stat(path);
    expect(mode & 0o7777).toBe(0o2751);
    expect([uid, gid]).toEqual(isRoot ? [1000 + index, 2000] : [process.geteuid?.(), process.getegid?.()]);
  }
  await expect(readFile(join(files, "last"), "utf8")).resolves.toBe(`${depth - 1}`);
  await rm(join(files, "d/0"));
  await writeFile(join(files, "last"), "mine");
  await writeFile(join(files, "new"), "new");
  const changes = (await Array.fromAsync(box.changes())).map(({ kind, path }) => `${kind} ${path.toString()}`);
  expect(changes.filter((change) => change !== "modified ")).toEqual([
    "modified d",
    "deleted d/0",
    "modified last",
    "added new",
  ]);
  await expect(box.commit()).resolves.toMatchObject({ depth: depth + 1, diffSize: 7, size: top.size + 7 });
});
