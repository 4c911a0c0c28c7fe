import { canFollow } from "@varve/content";
import type { Writer } from "@varve/content";
import { digestOf } from "@varve/digest";
import { openMetadata } from "@varve/metadata";
import type { Metadata } from "@varve/metadata";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FakeContent } from "./fake-content.ts";
import { list, openIn, tempDir } from "./temp.ts";

const bytes = new TextEncoder().encode("a blob");
const digest = digestOf(bytes);

async function written({ content }: Metadata): Promise<Writer> {
  const writer = await content.writer("r");
  await writer.write(bytes);
  return writer;
}

test("labels of a commit are shown with the blob of the wrapped store", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  const writer = await written(metadata);
  expect(await writer.commit({ digest }, { labels: { a: "1" } })).toBe(digest);
  const info = await metadata.content.info(digest);
  expect(info).toMatchObject({ digest, size: bytes.byteLength, labels: { a: "1" }, createdAt: new Date(1000) });
  expect(info.updatedAt.getTime()).toBeGreaterThan(1000);
  expect(await list(metadata.content.walk())).toEqual([info]);
});

// S3.12 (d), S3.13
test("a commit that finds its blob stored adds its labels, and still says so", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  await (await written(metadata)).commit({}, { labels: { a: "1", b: "2" } });
  const again = (await written(metadata)).commit({ digest }, { labels: { b: "two", c: "3" } });
  await expect(again).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
  expect((await metadata.content.info(digest)).labels).toEqual({ a: "1", b: "two", c: "3" });
});

test("a label that is too long is refused before the blob is committed", async () => {
  await using temp = await tempDir();
  const content = new FakeContent();
  await using metadata = await openIn(temp, content);
  const commit = (await written(metadata)).commit({}, { labels: { long: "x".repeat(4096) } });
  await expect(commit).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  expect(content.blobs.size).toBe(0);
});

// K07
test("labels of a blob that vanished from the wrapped store do not come back with it", async () => {
  await using temp = await tempDir();
  const content = new FakeContent();
  await using metadata = await openIn(temp, content);
  await (await written(metadata)).commit({}, { labels: { a: "1" } });
  content.blobs.clear();
  await expect(metadata.content.label(digest, { b: "2" })).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await (await written(metadata)).commit();
  expect((await metadata.content.info(digest)).labels).toEqual({});
});

test("deleting a blob drops its labels, also when the blob is gone already", async () => {
  await using temp = await tempDir();
  const content = new FakeContent();
  await using metadata = await openIn(temp, content);
  await (await written(metadata)).commit({}, { labels: { a: "1" } });
  const info = await content.info(digest);
  content.blobs.clear();
  await expect(metadata.content.delete(digest)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  content.blobs.set(digest, info);
  expect((await metadata.content.info(digest)).labels).toEqual({});
});

test("labels are kept in the database, not in the process", async () => {
  await using temp = await tempDir();
  const content = new FakeContent();
  const first = await openIn(temp, content);
  await (await written(first)).commit({}, { labels: { a: "1" } });
  await first.close();
  await using second = await openIn(temp, content);
  expect((await second.content.info(digest)).labels).toEqual({ a: "1" });
});

test("the content can be followed exactly if the wrapped store can", async () => {
  await using temp = await tempDir();
  await using plain = await openIn(temp);
  expect(canFollow(plain.content)).toBe(false);
  const following = Object.assign(new FakeContent(), {
    async *follow(ref: string): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(new TextEncoder().encode(ref));
    },
  });
  await using metadata = await openMetadata({ path: join(temp.path, "other.db"), content: following });
  const [chunk] = await list(metadata.content.follow("layer-x"));
  expect(new TextDecoder().decode(chunk)).toBe("layer-x");
});

test("closing the metadata leaves the wrapped store open, closing its content does not", async () => {
  await using temp = await tempDir();
  const content = new FakeContent();
  const metadata = await openIn(temp, content);
  await metadata.close();
  await metadata.close();
  expect(content.closed).toBe(0);
  await metadata.content.close();
  expect(content.closed).toBe(1);
});
