import { copyFile, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { digestOf } from "@varve/digest";
import type { SnapshotInfo, Snapshotter } from "@varve/snapshots";
import { describe, expect, test } from "vitest";
import { sample, sql, store } from "./blobs.ts";
import { FakeContent } from "./fake-content.ts";
import { list, openIn, tempDir } from "./temp.ts";

const target = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: digestOf("m"), size: 1 };
const blob = sample("a blob of old");
const damaged = /^ERR_(DATA_LOSS|INVALID_DATA)$/;

// C08
test("a database of a newer format is refused and left alone", async () => {
  await using temp = await tempDir();
  const path = join(temp.path, "metadata.db");
  await (await openIn(temp)).close();
  sql(temp.path, "PRAGMA user_version = 99");
  const before = await readFile(path);
  await expect(openIn(temp)).rejects.toMatchObject({
    code: "ERR_NOT_IMPLEMENTED",
    message: `metadata ${path}: format 99 is newer than 2, the newest known to this version`,
  });
  expect(await readFile(path)).toEqual(before);
});

test("a database of another program is refused and left alone", async () => {
  await using temp = await tempDir();
  const path = join(temp.path, "metadata.db");
  const raw = new DatabaseSync(path);
  raw.exec("CREATE TABLE theirs (a)");
  raw.close();
  const before = await readFile(path);
  await expect(openIn(temp)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  expect(await readFile(path)).toEqual(before);
});

test("a file that is no database is refused and left alone", async () => {
  await using temp = await tempDir();
  const path = join(temp.path, "metadata.db");
  const text = "something else, and long enough to have a header of its own".repeat(9);
  await writeFile(path, text);
  await expect(openIn(temp)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  expect(await readFile(path, "utf8")).toBe(text);
});

test("what cannot be a database says why", async () => {
  await using temp = await tempDir();
  await using inner = { path: join(temp.path, "metadata.db"), [Symbol.asyncDispose]: async () => {} };
  await (await openIn(inner)).close();
  await expect(openIn(temp)).rejects.toMatchObject({ code: "EISDIR" });
});

/** What the first version of the format left behind. */
function writeFormat1(path: string): void {
  const raw = new DatabaseSync(join(path, "metadata.db"));
  raw.exec(`
    CREATE TABLE images (
      name TEXT PRIMARY KEY, target TEXT NOT NULL, labels TEXT NOT NULL,
      created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE blobs (
      digest TEXT PRIMARY KEY, labels TEXT NOT NULL, updated_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE leases (
      id TEXT PRIMARY KEY, labels TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE lease_resources (
      lease TEXT NOT NULL REFERENCES leases (id) ON DELETE CASCADE,
      type TEXT NOT NULL, snapshotter TEXT NOT NULL, id TEXT NOT NULL,
      PRIMARY KEY (lease, type, snapshotter, id)
    ) STRICT, WITHOUT ROWID;
    PRAGMA application_id = 1987212901;
    PRAGMA user_version = 1;
  `);
  raw.prepare("INSERT INTO images VALUES (?, ?, ?, 1, 2)").run("old", JSON.stringify(target), '{"a":"1"}');
  raw.prepare("INSERT INTO blobs VALUES (?, ?, 3)").run(blob.digest, '{"b":"2"}');
  raw.prepare("INSERT INTO blobs VALUES (?, ?, 3)").run(digestOf("gone"), '{"b":"2"}');
  raw.exec(
    `INSERT INTO leases VALUES ('l', '{}', 4, NULL); INSERT INTO lease_resources VALUES ('l', 'image', '', 'old')`,
  );
  raw.close();
}

// C08, C-MD.11
test("a database of the first format is brought forward, and the blobs that were there are in namespace default", async () => {
  await using temp = await tempDir();
  writeFormat1(temp.path);
  const content = new FakeContent();
  const unlabelled = sample("without labels");
  for (const each of [blob, unlabelled]) content.blobs.set(each.digest, Buffer.from(each.bytes));
  const opened = await Promise.all([openIn(temp, content), openIn(temp, content)]);
  for (const metadata of opened) {
    const one = metadata.namespace("default");
    expect(await one.images.get("old")).toMatchObject({ target, labels: { a: "1" }, createdAt: new Date(1) });
    expect(await list(one.leases.resources("l"))).toEqual([{ type: "image", id: "old" }]);
    expect(await one.content.info(blob.digest)).toMatchObject({ size: blob.size, labels: { b: "2" } });
    expect(await one.content.info(unlabelled.digest)).toMatchObject({ size: unlabelled.size, labels: {} });
    expect(await list(one.content.walk())).toHaveLength(2);
    expect(await list(metadata.namespaces.list())).toEqual([{ name: "default", labels: {} }]);
    await metadata.close();
  }
  expect(sql(temp.path, "PRAGMA user_version")).toEqual([{ user_version: 2 }]);
  expect(sql(temp.path, "SELECT * FROM adoptions")).toEqual([]);
  expect(sql(temp.path, "PRAGMA foreign_key_check")).toEqual([]);
});

test("snapshots that were there before there were records of them get their records", async () => {
  await using temp = await tempDir();
  writeFormat1(temp.path);
  const times = { createdAt: new Date(5), updatedAt: new Date(6) };
  const infos: SnapshotInfo[] = [
    { name: "top", kind: "active", parent: "base", labels: { a: "1" }, ...times },
    { name: "base", kind: "committed", labels: {}, ...times },
  ];
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing else of it is used
  const backend = {
    async *walk() {
      yield* await Promise.resolve(infos);
    },
  } as unknown as Snapshotter;
  const snapshotters = { used: async () => ["fake"], get: async () => backend };
  await (await openIn(temp, new FakeContent(), { snapshotters })).close();
  const rows = sql(
    temp.path,
    `SELECT s.namespace, s.name, s.kind, s.backend_key, s.labels, p.name AS parent, s.created_at
     FROM snapshots s LEFT JOIN snapshots p ON p.seq = s.parent ORDER BY s.name`,
  );
  const common = { namespace: "default", created_at: 5 };
  expect(rows).toEqual([
    { ...common, name: "base", kind: "committed", backend_key: "base", labels: "{}", parent: null },
    { ...common, name: "top", kind: "active", backend_key: "top", labels: '{"a":"1"}', parent: "base" },
  ]);
});

test("an adoption that was interrupted is finished by the next who opens", async () => {
  await using temp = await tempDir();
  writeFormat1(temp.path);
  const content = new FakeContent();
  content.blobs.set(blob.digest, Buffer.from(blob.bytes));
  const failure = new Error("interrupted");
  content.before = () => {
    throw failure;
  };
  await expect(openIn(temp, content)).rejects.toBe(failure);
  content.before = () => {};
  await using metadata = await openIn(temp, content);
  expect(await list(metadata.namespace("default").content.walk())).toHaveLength(1);
});

// P07
describe("a database of which a part was damaged", () => {
  const damages: { name: string; damage: (path: string, size: number) => Promise<void> }[] = [
    { name: "the last 512 bytes zeroed", damage: (path, size) => zero(path, size - 512, 512) },
    { name: "the last page zeroed", damage: (path, size) => zero(path, size - 4096, 4096) },
    { name: "a page in the middle zeroed", damage: (path, size) => zero(path, Math.floor(size / 8192) * 4096, 4096) },
    { name: "the schema overwritten", damage: (path) => zero(path, 100, 3996) },
    { name: "the header zeroed", damage: (path) => zero(path, 0, 100) },
    { name: "cut to half", damage: (path, size) => truncate(path, Math.floor(size / 8192) * 4096) },
    { name: "cut within a page", damage: (path, size) => truncate(path, size - 1000) },
  ];
  for (const { name, damage } of damages) {
    test(`${name}: gives what is whole, and else a typed error`, async () => {
      await using temp = await tempDir();
      const path = join(temp.path, "metadata.db");
      const content = new FakeContent();
      const whole = await openIn(temp, content);
      const one = whole.namespace("one");
      for (let count = 0; count < 300; count += 1) {
        await one.images.put({ name: `image-${count}`, target, labels: { some: `label ${count}` } });
      }
      await store(one.content, blob);
      await whole.close();
      await copyFile(path, `${path}.before`);
      await damage(path, (await readFile(path)).byteLength);
      const outcome = await everything(temp.path, content);
      // SQLite has no checksums: what is well formed but another cannot be told.
      expect(outcome).toMatch(/^(whole|ERR_DATA_LOSS|ERR_INVALID_DATA)$/);
      expect(content.blobs.size).toBe(1);
      await copyFile(`${path}.before`, path);
      expect(await everything(temp.path, content)).toBe("whole");
    });
  }
});

async function zero(path: string, start: number, length: number): Promise<void> {
  const bytes = await readFile(path);
  await writeFile(path, bytes.fill(0, start, start + length));
}

/** Reads everything, and says with what it ended. */
async function everything(path: string, content: FakeContent): Promise<string> {
  try {
    await using metadata = await openIn({ path, [Symbol.asyncDispose]: async () => {} }, content);
    for await (const namespace of metadata.namespaces.list()) {
      const { images, leases, content: blobs } = metadata.namespace(namespace.name);
      for (const listed of [images.list(), leases.list(), blobs.walk()]) await list<unknown>(listed);
    }
    return "whole";
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return damaged.test(code) ? code : `${code}: ${String(error)}`;
  }
}
