import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { digestOf } from "@varve/digest";
import { openMetadata } from "@varve/metadata";
import { expect, test } from "vitest";
import { sql } from "./blobs.ts";
import { FakeContent } from "./fake-content.ts";
import { list, newWorld, openIn, tempDir } from "./temp.ts";

const target = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: digestOf("m"), size: 1 };

/** A process of its own, which has said that it is ready. */
async function child(path: string, ...what: readonly string[]): Promise<ChildProcess> {
  const program = fileURLToPath(new URL("child.ts", import.meta.url));
  const started = spawn(process.execPath, [program, path, ...what], { stdio: ["ignore", "pipe", "inherit"] });
  if (started.stdout !== null) await once(started.stdout, "data");
  return started;
}

async function kill(process: ChildProcess): Promise<void> {
  process.kill("SIGKILL");
  await once(process, "exit");
}

test("writes are synced to disk when they are acknowledged, if that is not turned off", async () => {
  await using temp = await tempDir();
  await using full = await openMetadata({ path: join(temp.path, "metadata.db"), content: new FakeContent() });
  await full.namespace("one").images.put({ name: "a", target });
  expect(sql(temp.path, "PRAGMA journal_mode")).toEqual([{ journal_mode: "wal" }]);
  await using none = await openIn(temp, new FakeContent(), { durability: "none" });
  await none.namespace("one").images.put({ name: "b", target });
  expect(await list(full.namespace("one").images.list())).toHaveLength(2);
});

// P1: killed right after the acknowledgement
test("what was acknowledged survives the death of the process", async () => {
  await using temp = await tempDir();
  await kill(await child(temp.path, "one"));
  await using metadata = await openIn(temp);
  const images = await list(metadata.namespace("one").images.list());
  expect(images.map(({ name }) => name)).toEqual(["from the child"]);
});

// K19
test("the lock of a process that was killed is free at once, and what it had not finished is undone", async () => {
  await using world = await newWorld();
  const { images } = world.one;
  await images.put({ name: "a", target });
  const holder = await child(world.path, "lock");
  const put = images.put({ name: "b", target });
  await kill(holder);
  await put;
  expect((await list(images.list())).map(({ name }) => name)).toEqual(["a", "b"]);
});

test("several processes write at once, and nothing of any is lost", async () => {
  await using temp = await tempDir();
  const children = await Promise.all(["a", "b", "c"].map((who) => child(temp.path, "many", who)));
  for (const each of children) if (each.exitCode === null) await once(each, "exit");
  expect(children.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0]);
  await using metadata = await openIn(temp);
  const { images, content } = metadata.namespace("one");
  expect(await list(images.list())).toHaveLength(75);
  expect(await list(content.walk())).toHaveLength(75);
});

test("a write waits while another process writes, and a read does not", async () => {
  await using world = await newWorld();
  const { images } = world.one;
  await images.put({ name: "a", target });
  const other = new DatabaseSync(join(world.path, "metadata.db"));
  other.exec("BEGIN IMMEDIATE");
  const put = images.put({ name: "b", target });
  expect((await list(images.list())).map(({ name }) => name)).toEqual(["a"]);
  other.exec("COMMIT");
  other.close();
  expect((await put).name).toBe("b");
});

test("waiting for another process ends with the reason of the signal", async () => {
  await using world = await newWorld();
  const other = new DatabaseSync(join(world.path, "metadata.db"));
  other.exec("BEGIN IMMEDIATE");
  const controller = new AbortController();
  const put = world.one.images.put({ name: "b", target }, { signal: controller.signal });
  const reason = new Error("enough");
  controller.abort(reason);
  await expect(put).rejects.toBe(reason);
  other.close();
});

test("many open the same new database at once, and all their writes are kept", async () => {
  await using temp = await tempDir();
  const opened = await Promise.all([openIn(temp), openIn(temp), openIn(temp), openIn(temp)]);
  const stores = opened.map((metadata) => metadata.namespace("one").images);
  const names = Array.from({ length: 40 }, (_, index) => `image-${String(index).padStart(2, "0")}`);
  const puts = stores.flatMap((images, one) =>
    names.filter((_, index) => index % 4 === one).map((name) => images.put({ name, target })),
  );
  await Promise.all(puts);
  for (const images of stores) expect((await list(images.list())).map(({ name }) => name)).toEqual(names);
  for (const metadata of opened) await metadata.close();
});

// P08
test("a clock that was set back harms no record", async () => {
  await using world = await newWorld();
  const { images } = world.one;
  await images.create({ name: "a", target });
  sql(world.path, "UPDATE images SET created_at = created_at + 86400000, updated_at = updated_at + 86400000");
  const before = await images.get("a");
  const after = await images.update("a", { labels: { b: "1" } });
  expect(after.createdAt).toEqual(before.createdAt);
  expect(after.updatedAt.getTime()).toBeGreaterThanOrEqual(before.updatedAt.getTime());
});
