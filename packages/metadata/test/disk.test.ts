import { execFileSync } from "node:child_process";
import { mkdir, readdir } from "node:fs/promises";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "@varve/digest";
import type { Namespace } from "@varve/metadata";
import { openMetadata } from "@varve/metadata";
import { describe, expect, test } from "vitest";
import { read, sample, store } from "./blobs.ts";
import { FakeContent } from "./fake-content.ts";
import { list, tempDir } from "./temp.ts";
import type { TempDir } from "./temp.ts";

const isRoot = process.getuid?.() === 0;
const target = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: digestOf("m"), size: 1 };
const blob = sample("a blob");
const noSpace = { code: "ENOSPC", message: expect.stringContaining("no space left") };

/** A small file system of its own. */
async function smallDisk(size: string): Promise<TempDir> {
  const temp = await tempDir();
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "varve-test", temp.path]);
  return {
    path: temp.path,
    [Symbol.asyncDispose]: async () => {
      execFileSync("umount", [temp.path]);
      await temp[Symbol.asyncDispose]();
    },
  };
}

/** Takes what is left of the disk. */
function fillUp(path: string): void {
  for (const size of [65_536, 4096]) {
    for (let count = 0; ; count += 1) {
      try {
        writeFileSync(join(path, `filler-${size}-${count}`), Buffer.alloc(size, 1));
      } catch {
        break;
      }
    }
  }
}

async function fillWithImages({ images }: Namespace, prefix: string): Promise<void> {
  const labels = Object.fromEntries(Array.from({ length: 20 }, (_, label) => [`l${label}`, "x".repeat(1000)]));
  for (let index = 0; ; index += 1) await images.put({ name: `${prefix}-${index}`, target, labels });
}

// F01
describe.skipIf(!isRoot)("a full disk (needs root to mount)", () => {
  test("is reported as such, and nothing is half written", async () => {
    await using disk = await smallDisk("1m");
    const content = new FakeContent();
    await using metadata = await openMetadata({ path: join(disk.path, "metadata.db"), content });
    const one = metadata.namespace("one");
    await expect(fillWithImages(one, "image")).rejects.toMatchObject(noSpace);
    const kept = await list(one.images.list());
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.every(({ labels }) => Object.keys(labels).length === 20)).toBe(true);
  });

  test("can be emptied: records are read and removed on it, also by who opens the store then", async () => {
    await using disk = await smallDisk("3m");
    const path = join(disk.path, "metadata.db");
    const content = new FakeContent();
    await using first = await openMetadata({ path, content });
    await store(first.namespace("one").content, blob);
    const { images } = first.namespace("one");
    await images.put({ name: "small", target });
    fillUp(disk.path);
    await expect(fillWithImages(first.namespace("one"), "image")).rejects.toMatchObject(noSpace);
    const kept = (await list(images.list())).length;
    await images.delete("small");
    expect(await list(images.list())).toHaveLength(kept - 1);
    await first.close();
    fillUp(disk.path);

    await using second = await openMetadata({ path, content });
    const one = second.namespace("one");
    expect(await list(one.images.list())).toHaveLength(kept - 1);
    expect(await read(one.content, blob)).toEqual(blob.bytes);
    for await (const image of one.images.list()) await one.images.delete(image.name);
    await one.content.delete(blob.digest);
    expect(await list(one.images.list())).toEqual([]);
  });

  test("can be collected, also piece by piece", async () => {
    await using disk = await smallDisk("4m");
    await using metadata = await openMetadata({ path: join(disk.path, "metadata.db"), content: new FakeContent() });
    const { leases, images } = metadata.namespace("one");
    const ids = Array.from({ length: 1200 }, (_, index) => `lease-${index}`);
    await Promise.all(ids.map((id) => leases.create({ id, expiresAt: new Date(0) })));
    fillUp(disk.path);
    await expect(fillWithImages(metadata.namespace("one"), "image")).rejects.toMatchObject(noSpace);
    const kept = (await list(images.list())).length;
    const { removed, failed } = await metadata.collect();
    expect([removed.length, failed]).toEqual([1200, []]);
    expect(await list(leases.list())).toEqual([]);
    expect(await list(images.list())).toHaveLength(kept);
  });

  test("that somebody has filled up since does not keep a store from being opened and emptied", async () => {
    await using disk = await smallDisk("3m");
    const path = join(disk.path, "metadata.db");
    const content = new FakeContent();
    const first = await openMetadata({ path, content });
    await first.namespace("one").images.put({ name: "a", target });
    await first.close();
    fillUp(disk.path);

    await using second = await openMetadata({ path, content });
    const { images } = second.namespace("one");
    expect((await list(images.list())).map(({ name }) => name)).toEqual(["a"]);
    await images.delete("a");
    expect(await list(images.list())).toEqual([]);
  });

  test("of which there is none for a new store says so", async () => {
    await using disk = await smallDisk("1m");
    fillUp(disk.path);
    const path = join(disk.path, "metadata.db");
    const opening = openMetadata({ path, content: new FakeContent() });
    await expect(opening).rejects.toMatchObject(noSpace);
  });
});

// F05
describe.skipIf(!isRoot)("a read-only disk (needs root to mount)", () => {
  for (const how of ["closed", "killed"] as const) {
    test(`a store is read on it, where the last who wrote was ${how}`, async () => {
      await using disk = await smallDisk("8m");
      const path = join(disk.path, "metadata.db");
      const content = new FakeContent();
      await using writing = await openMetadata({ path, content });
      await writing.namespace("one").images.put({ name: "a", target });
      await store(writing.namespace("one").content, blob);
      if (how === "closed") await writing.close();
      const aside = await tempDir();
      execFileSync("cp", ["-a", `${disk.path}/.`, aside.path]);
      if (how === "killed") await writing.close();
      execFileSync("cp", ["-a", `${aside.path}/.`, disk.path]);
      await aside[Symbol.asyncDispose]();
      execFileSync("mount", ["-o", "remount,ro", disk.path]);

      await using metadata = await openMetadata({ path, content });
      const one = metadata.namespace("one");
      expect((await list(one.images.list())).map(({ name }) => name)).toEqual(["a"]);
      expect(await one.content.info(blob.digest)).toMatchObject({ size: blob.size });
      expect(await read(one.content, blob)).toEqual(blob.bytes);
      const readOnly = { code: "EROFS", message: expect.stringContaining("read-only") };
      await expect(one.images.put({ name: "b", target })).rejects.toMatchObject(readOnly);
      await expect(one.images.delete("a")).rejects.toMatchObject(readOnly);
      await expect(one.content.writer("r")).rejects.toMatchObject(readOnly);
    });
  }

  test("a store that is not there cannot be made on it", async () => {
    await using disk = await smallDisk("1m");
    await mkdir(join(disk.path, "empty"));
    execFileSync("mount", ["-o", "remount,ro", disk.path]);
    for (const path of [join(disk.path, "metadata.db"), join(disk.path, "no", "such", "metadata.db")]) {
      const opening = openMetadata({ path, content: new FakeContent() });
      await expect(opening).rejects.toMatchObject({ code: "EROFS" });
    }
    expect(await readdir(disk.path)).toEqual(["empty"]);
  });
});
