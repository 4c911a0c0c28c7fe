import { mkdir, readdir, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { createDiffer } from "@varve/differ";
import { expect, test } from "vitest";
import { FakeStore } from "./fake-store.ts";
import { bindOf, inPieces, layerOf, scene, tarOf } from "./scene.ts";
import { watchThreads } from "./thread-watch.ts";

const threads = watchThreads();

const lost = { code: "ERR_INTERNAL", message: expect.stringMatching(/worker thread: ended unexpectedly$/) };

// In the order of their start; with few processors one thread hashes what it decompresses.
const names = availableParallelism() > 2 ? ["writing", "hashing", "decompressing"] : ["writing", "decompressing"];

for (const [index, name] of names.entries()) {
  test(`the ${name} thread dies: its layer fails, another goes on, and the next is served (F10)`, async () => {
    await using root = await scene();
    const [doomed, other] = [join(root.path, "doomed"), join(root.path, "other")];
    await mkdir(doomed);
    await mkdir(other);
    await using differ = createDiffer({ concurrency: 2 });
    const blob = gzipSync(await tarOf({ a: "x".repeat(1_000_000) }));
    const started = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const waiting = async function* (): AsyncGenerator<Uint8Array> {
      yield blob.subarray(0, 100);
      started.resolve();
      await release.promise;
      yield blob.subarray(100);
    };
    const failing = differ.apply(layerOf(blob), bindOf(doomed), { source: waiting() });
    failing.catch(() => undefined);
    await started.promise;
    // The threads are told of in the next turn.
    await setImmediate();
    const [victim] = threads.slice(index);
    const going = differ.apply(layerOf(blob), bindOf(other), { source: waiting() });
    await victim?.terminate();
    await expect(failing).rejects.toMatchObject(lost);
    release.resolve();
    await going;
    await differ.apply(layerOf(blob), bindOf(doomed), { source: inPieces(blob, 1000) });
    expect(await readdir(doomed)).toEqual(await readdir(other));
  });
}

for (const [index, name] of ["walking", "hashing"].entries()) {
  test(`the ${name} thread dies while trees are compared: nothing is stored, and the next is served (F10)`, async () => {
    await using root = await scene();
    await writeFile(join(root.path, "big"), Buffer.alloc(8_000_000, "x"));
    const content = new FakeStore();
    await using differ = createDiffer({ content, concurrency: 1 });
    content.onWrite = async (written) => {
      if (written === 0) await threads[index]?.terminate();
    };
    const mediaType = "application/vnd.oci.image.layer.v1.tar";
    await expect(differ.compare([], bindOf(root.path), { mediaType })).rejects.toMatchObject(lost);
    expect(content.blobs.size + content.ingests.size).toBe(0);
    content.onWrite = () => undefined;
    await differ.compare([], bindOf(root.path), { mediaType });
  });
}

test("a thread that dies while it is idle costs no layer", async () => {
  await using root = await scene();
  await using differ = createDiffer({ concurrency: 1 });
  const tar = await tarOf({ a: "a" });
  await differ.apply(layerOf(tar), bindOf(root.path), { source: inPieces(tar, 1000) });
  for (const thread of threads) await thread.terminate();
  const again = await differ.apply(layerOf(tar), bindOf(root.path), { source: inPieces(tar, 1000) });
  expect(again.size).toBe(tar.length);
});
