import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openWriter, readBlob, writeBlob } from "@varve/content";
import type { ContentStore, Follower, Writer } from "@varve/content";
import { describeContentStore } from "@varve/content-conformance";
import { openContentStore } from "@varve/content-fs";
import { createMemoryContentStore } from "@varve/content-memory";
import { digestOf } from "@varve/digest";
import { openMetadata } from "@varve/metadata";
import type { Metadata, MetadataOptions } from "@varve/metadata";
import { afterAll, describe, expect, it, test } from "vitest";

const base = mkdtempSync(join(tmpdir(), "varve-metadata-content-"));
const opened: AsyncDisposable[] = [];
afterAll(async () => {
  for (const each of opened.toReversed()) await each[Symbol.asyncDispose]();
  rmSync(base, { recursive: true, force: true });
});

interface OpenOptions {
  readonly stallMs?: number | undefined;
}

async function openStack(
  root: string,
  content: ContentStore & Follower,
  options: Partial<MetadataOptions> = {},
): Promise<Metadata<ContentStore & Follower>> {
  const metadata = await openMetadata({ ...options, path: join(root, "metadata.db"), content });
  opened.push(content, metadata);
  return metadata;
}

async function overFiles(place: string, options: OpenOptions = {}): Promise<ContentStore> {
  const root = join(base, "files", place);
  const content = await openContentStore({ root: join(root, "content"), stallMs: options.stallMs });
  return (await openStack(root, content)).namespace("one").content;
}

async function overMemory(place: string, options: OpenOptions = {}): Promise<ContentStore> {
  const content = createMemoryContentStore({ stallMs: options.stallMs });
  return (await openStack(join(base, "memory", place), content)).namespace("one").content;
}

// C-MD.1. Damaged blobs are quarantined in the store below, by `repair`.
describeContentStore("of a namespace over content-fs", { describe, it, lacks: ["quarantine"], open: overFiles });
describeContentStore("of a namespace over content-memory", {
  describe,
  it,
  lacks: ["reopen", "quarantine"],
  open: overMemory,
});

const bytes = new Uint8Array(100_000).map((_, index) => index % 251);
const size = bytes.byteLength;
const descriptor = { mediaType: "application/octet-stream", digest: digestOf(bytes), size };
const { digest } = descriptor;
const expected = { digest, size };
const store = (into: ContentStore): Promise<unknown> => writeBlob(into, "first", bytes, { expected });
const second = (from: ContentStore): Promise<Writer> => openWriter(from, "second", { expected });
const shareable = { labels: { "containerd.io/namespace.shareable": "true" } };

const stores: Record<string, (root: string) => Promise<ContentStore & Follower>> = {
  "content-fs": (root) => openContentStore({ root: join(root, "content") }),
  "content-memory": async () => createMemoryContentStore(),
};

for (const [name, open] of Object.entries(stores)) {
  describe(`namespaces over ${name}`, () => {
    let count = 0;
    async function stack(sharing: "shared" | "isolated"): Promise<Metadata<ContentStore & Follower>> {
      const root = join(base, `${name}-${(count += 1)}`);
      return openStack(root, await open(root), { sharing });
    }

    test("what is written beyond a shared blob makes another one (C-NS.1)", async () => {
      const metadata = await stack("shared");
      const [one, two] = [metadata.namespace("one").content, metadata.namespace("two").content];
      await store(one);
      const writer = await second(two);
      expect(writer.status().offset).toBe(size);
      const more = new TextEncoder().encode("and more");
      await writer.write(more);
      const all = new Uint8Array(Buffer.concat([bytes, more]));
      const longer = { ...descriptor, digest: digestOf(all), size: all.byteLength };
      expect(await writer.commit(longer)).toBe(longer.digest);
      expect(await readBlob(two, longer)).toEqual(all);
      await expect(two.info(digest)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
      expect(await readBlob(one, descriptor)).toEqual(bytes);
    });

    test("a second namespace gets a blob without its bytes (C-NS.2)", async () => {
      const metadata = await stack("shared");
      const [one, two] = [metadata.namespace("one").content, metadata.namespace("two").content];
      await store(one);
      const writer = await second(two);
      expect(writer.status()).toMatchObject({ offset: size, expected: digest });
      expect(await writer.digest()).toBe(digest);
      await writer.commit({ digest, size });
      for (const content of [one, two]) expect(await content.info(digest)).toMatchObject({ digest, size });
      expect(await readBlob(two, descriptor)).toEqual(bytes);
    });

    test("isolated namespaces bring the bytes (C-NS.3)", async () => {
      const metadata = await stack("isolated");
      const two = metadata.namespace("two").content;
      await store(metadata.namespace("one").content);
      const writer = await second(two);
      expect(writer.status().offset).toBe(0);
      expect(await writer.digest()).toBe(digestOf(""));
      await expect(two.info(digest)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
      await writer.write(bytes);
      expect(await writer.commit({ digest, size })).toBe(digest);
      expect(await readBlob(two, descriptor)).toEqual(bytes);
    });

    test("a shareable namespace shares with isolated ones, and they do not with it (C-NS.4)", async () => {
      const metadata = await stack("isolated");
      await metadata.namespaces.create("one", shareable);
      const [one, two] = [metadata.namespace("one").content, metadata.namespace("two").content];
      await store(one);
      const writer = await second(two);
      expect(writer.status().offset).toBe(size);
      await writer.commit({ digest, size });
      const other = new TextEncoder().encode("only in two");
      const theirs = { digest: digestOf(other), size: other.byteLength };
      await writeBlob(two, "other", other, { expected: theirs });
      const back = await one.writer("back", { expected: theirs });
      expect(back.status().offset).toBe(0);
      await back.close();
    });

    // U-GC.4: what is shared goes with its last owner
    test("a blob is freed when the last namespace that had it has deleted it", async () => {
      const metadata = await stack("shared");
      const [one, two] = [metadata.namespace("one").content, metadata.namespace("two").content];
      await store(one);
      await (await second(two)).commit();
      const keep = { "containerd.io/gc.root": "yes" };
      await one.label(digest, keep);
      await two.label(digest, keep);
      await one.delete(digest);
      expect((await metadata.collect()).removed).toEqual([]);
      expect(await readBlob(two, descriptor)).toEqual(bytes);
      await two.delete(digest);
      const { removed } = await metadata.collect();
      expect(removed.map(({ id, bytes: freed }) => [id, freed])).toEqual([[digest, size]]);
      expect((await second(one)).status().offset).toBe(0);
    });
  });
}
