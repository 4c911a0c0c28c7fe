import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { testStore } from "./store.ts";

const layers = [{ "etc/base": "base" }, { "etc/top": "top" }];

test("what export writes, import reads: under its name and with its digest", async () => {
  await using from = await testStore();
  await using to = await testStore();
  const pulled = await from.pull("team/app", layers);
  const file = join(from.path, "images.tar");
  expect(await from.run(["export", pulled.name, "-o", file])).toMatchObject({ code: 0, stdout: `${pulled.name}\n` });
  for (const [name, bytes] of [
    ["images.tar", await readFile(file)],
    ["images.tar.gz", gzipSync(await readFile(file))],
  ] as const) {
    await writeFile(join(to.path, name), bytes);
    const imported = await to.json("import", join(to.path, name));
    expect(imported).toMatchObject({ images: [{ names: [pulled.name], target: pulled.target }] });
  }
  const inspected = await to.json("images", "check", pulled.name);
  expect(inspected).toMatchObject({ images: [{ status: "complete" }] });
});

test("export to standard output can be piped into import", async () => {
  await using from = await testStore();
  await using to = await testStore();
  const pulled = await from.pull("app", layers);
  const file = join(from.path, "x.tar");
  await from.run(["export", pulled.name, "-o", file]);
  const outcome = await to.run(["import", "-", "--json"], { input: await readFile(file) });
  expect(JSON.parse(outcome.stdout)).toMatchObject({ images: [{ names: [pulled.name] }] });
});

test("a layout directory is written, added to, and read", async () => {
  await using from = await testStore();
  await using to = await testStore();
  const first = await from.pull("first", layers);
  const second = await from.pull("second", [{ b: "b" }]);
  const directory = join(from.path, "layout");
  for (const { name } of [first, second]) {
    expect(await from.run(["export", name, "--oci-layout", directory])).toMatchObject({ code: 0 });
  }
  expect((await readdir(directory)).toSorted()).toEqual(["blobs", "index.json", "oci-layout"]);
  const { images } = (await to.json("import", directory)) as { images: { names: string[] }[] };
  expect(images.flatMap(({ names }) => names).toSorted()).toEqual([first.name, second.name].toSorted());
});

test("an import takes no more bytes than it is allowed to, after decompression", async () => {
  await using from = await testStore();
  await using to = await testStore();
  const { name } = await from.pull("app", layers);
  const file = join(from.path, "images.tar");
  await from.run(["export", name, "-o", file]);
  const input = gzipSync(await readFile(file));
  const { size } = await stat(file);
  const refused = await to.run(["import", "-", "--max-bytes", String(size - 1)], { input });
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("(maxBytes)") });
  expect(await to.run(["import", "-", "--max-bytes", String(size)], { input })).toMatchObject({ code: 0 });
});

test("what is no archive is refused, and so is an image that is not there", async () => {
  await using store = await testStore();
  const outcome = await store.run(["import", "-"], { input: Buffer.from("no tar at all") });
  expect(outcome.code).toBe(5);
  expect(await store.run(["export", "nothing:here", "-o", join(store.path, "x")])).toMatchObject({ code: 3 });
  expect(await readdir(store.path)).not.toContain("x");
  expect(await store.run(["import", join(store.path, "missing.tar")])).toMatchObject({ code: 3 });
});
