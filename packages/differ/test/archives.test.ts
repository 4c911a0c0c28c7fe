import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { createTarWriter } from "@varve/archive";
import { createDiffer } from "@varve/differ";
import { digestOf } from "@varve/digest";
import { afterAll, expect, test } from "vitest";
import { bindOf, inPieces, scene, tarOf } from "./scene.ts";

const differ = createDiffer({ concurrency: 1 });
afterAll(() => differ.close());

function twiceNamed(): Buffer {
  const blocks: Buffer[] = [];
  const writer = createTarWriter((block) => blocks.push(Buffer.from(block)));
  for (const text of ["first", "second"]) {
    const mtime = { seconds: 1, nanoseconds: 0 };
    writer.entry({ name: Buffer.from("a"), type: "file", mode: 0o644, uid: 0, gid: 0, mtime, size: text.length });
    writer.data(Buffer.from(text));
  }
  writer.end();
  return Buffer.concat(blocks);
}

// S1.16, S1.18
test("an archive of which nothing is known is described and recorded, and is asked for once", async () => {
  await using root = await scene();
  const tree = join(root.path, "tree");
  await mkdir(tree);
  const tar = Buffer.concat([await tarOf({ "a/b": "b".repeat(70_000), c: "c" }), Buffer.alloc(20_000)]);
  const records = join(root.path, "records.gz");
  let asked = 0;
  const progress: number[] = [];
  const archive = (): AsyncIterable<Uint8Array> => {
    asked += 1;
    return inPieces(gzipSync(tar), 999);
  };
  const onProgress = (bytes: number): void => void progress.push(bytes);
  await expect(differ.applyArchive(archive, bindOf(tree), { records, onProgress })).resolves.toEqual({
    diffId: digestOf(tar),
    size: tar.length,
    entries: 2,
    contentBytes: 70_001,
    replaced: 0,
  });
  expect(asked).toBe(1);
  expect(progress.at(-1)).toBe(gzipSync(tar).length);
  expect(gunzipSync(await readFile(records)).toString()).toContain('"a/b"');
  expect((await readdir(tree)).toSorted()).toEqual(["a", "c"]);
});

// S1.93, G-61
test("an archive that names a file twice says so", async () => {
  await using root = await scene();
  const tree = join(root.path, "tree");
  await mkdir(tree);
  const options = { records: join(root.path, "records.gz") };
  const applied = await differ.applyArchive(() => inPieces(twiceNamed(), 512), bindOf(tree), options);
  expect(applied).toMatchObject({ entries: 2, contentBytes: 11, replaced: 1 });
  expect(await readFile(join(tree, "a"), "utf8")).toBe("second");
});

test("an archive that is broken is told by its subject, and leaves no records", async () => {
  await using root = await scene();
  const tree = join(root.path, "tree");
  await mkdir(tree);
  const broken = gzipSync(await tarOf({ a: "a" })).subarray(0, -9);
  const options = { records: join(root.path, "records.gz"), subject: "layer mine" };
  await expect(differ.applyArchive(() => inPieces(broken, 99), bindOf(tree), options)).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
    message: expect.stringMatching(/^layer mine: gzip: /),
  });
  expect(await readdir(root.path)).toEqual(["tree"]);
});
