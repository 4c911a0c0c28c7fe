import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { list, openIn, tempDir } from "./temp.ts";

const isRoot = process.getuid?.() === 0;
const target = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: digestOf("m"), size: 1 };

// C08
test("a database of a newer format is refused and left alone", async () => {
  await using temp = await tempDir();
  const path = join(temp.path, "metadata.db");
  await (await openIn(temp)).close();
  const raw = new DatabaseSync(path);
  raw.exec("PRAGMA user_version = 99");
  await expect(openIn(temp)).rejects.toMatchObject({
    code: "ERR_NOT_IMPLEMENTED",
    message: `metadata ${path}: format 99 is newer than 1, the newest known to this version`,
  });
  expect(raw.prepare("PRAGMA user_version").get()).toEqual({ user_version: 99 });
  raw.close();
});

test("a database of another program is refused and left alone", async () => {
  await using temp = await tempDir();
  const raw = new DatabaseSync(join(temp.path, "metadata.db"));
  raw.exec("CREATE TABLE theirs (a)");
  await expect(openIn(temp)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  expect(raw.prepare("SELECT name FROM sqlite_master").all()).toEqual([{ name: "theirs" }]);
  raw.close();
});

test("a file that is no database is refused", async () => {
  await using temp = await tempDir();
  writeFileSync(
    join(temp.path, "metadata.db"),
    "something else, and long enough to have a header of its own".repeat(9),
  );
  await expect(openIn(temp)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
});

test("writes are synced to disk when they are acknowledged", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  await metadata.images.put({ name: "a", target });
  const raw = new DatabaseSync(join(temp.path, "metadata.db"));
  expect(raw.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
  raw.close();
});

// P1: killed right after the acknowledgement
test("what was acknowledged survives the death of the process", async () => {
  await using temp = await tempDir();
  const program = fileURLToPath(new URL("child.ts", import.meta.url));
  const child = spawn(process.execPath, [program, temp.path], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  await using metadata = await openIn(temp);
  expect((await list(metadata.images.list())).map(({ name }) => name)).toEqual(["from the child"]);
});

test("a write waits while another process writes, and a read does not", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  await metadata.images.put({ name: "a", target });
  const other = new DatabaseSync(join(temp.path, "metadata.db"));
  other.exec("BEGIN IMMEDIATE");
  const put = metadata.images.put({ name: "b", target });
  expect((await list(metadata.images.list())).map(({ name }) => name)).toEqual(["a"]);
  other.exec("COMMIT");
  other.close();
  expect((await put).name).toBe("b");
});

test("waiting for another process ends with the reason of the signal", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  const other = new DatabaseSync(join(temp.path, "metadata.db"));
  other.exec("BEGIN IMMEDIATE");
  const controller = new AbortController();
  const put = metadata.images.put({ name: "b", target }, { signal: controller.signal });
  const reason = new Error("enough");
  controller.abort(reason);
  await expect(put).rejects.toBe(reason);
  other.close();
});

test("many open the same new database at once, and all their writes are kept", async () => {
  await using temp = await tempDir();
  const opened = await Promise.all([openIn(temp), openIn(temp), openIn(temp), openIn(temp)]);
  const names = Array.from({ length: 40 }, (_, index) => `image-${String(index).padStart(2, "0")}`);
  const puts = opened.flatMap(({ images }, one) =>
    names.filter((_, index) => index % 4 === one).map((name) => images.put({ name, target })),
  );
  await Promise.all(puts);
  for (const { images } of opened) expect((await list(images.list())).map(({ name }) => name)).toEqual(names);
  for (const metadata of opened) await metadata.close();
});

test("a closed database says so", async () => {
  await using temp = await tempDir();
  const metadata = await openIn(temp);
  await metadata.close();
  await expect(metadata.images.get("a")).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
});

// F01
test.skipIf(!isRoot)(
  "a full disk is reported as such, and the database works again after (needs root to mount)",
  async () => {
    await using temp = await tempDir();
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=512k", "varve-test", temp.path]);
    try {
      await using metadata = await openIn(temp);
      const fill = async (): Promise<void> => {
        for (let index = 0; ; index += 1) {
          const labels = Object.fromEntries(Array.from({ length: 20 }, (_, label) => [`l${label}`, "x".repeat(1000)]));
          await metadata.images.put({ name: `image-${index}`, target, labels });
        }
      };
      await expect(fill()).rejects.toMatchObject({ code: "ENOSPC", message: expect.stringContaining("no space left") });
      const kept = await list(metadata.images.list());
      expect(kept.length).toBeGreaterThan(0);
      expect(kept.every(({ labels }) => Object.keys(labels).length === 20)).toBe(true);
    } finally {
      execFileSync("umount", [temp.path]);
    }
  },
);
