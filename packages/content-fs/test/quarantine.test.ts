import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { readBlob, writeBlob } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import { digestHex, digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { tempDir } from "./temp.ts";

const bytes = randomBytes(1000);
const digest = digestOf(bytes);
const descriptor = { mediaType: "application/octet-stream", digest, size: bytes.byteLength };
const blobIn = (root: string): string => join(root, "blobs", "sha256", digestHex(digest));

/** Each puts something in the place of the blob that is none. */
const imposters: [string, (path: string, target: string) => void][] = [
  ["a directory", (path) => mkdirSync(join(path, "below"), { recursive: true })],
  ["a link to a file", (path, target) => symlinkSync(join(target, "file"), path)],
  ["a link to a directory", (path, target) => symlinkSync(target, path)],
  ["a link to nothing", (path) => symlinkSync("/nonexistent", path)],
  ["a pipe", (path) => execFileSync("mkfifo", [path])],
];

// F11, F12
test.each(imposters)("%s in the place of a blob is no blob, gives way to it, and is not followed", async (_, make) => {
  await using temp = await tempDir();
  const [root, target] = [join(temp.path, "store"), join(temp.path, "target")];
  mkdirSync(target);
  writeFileSync(join(target, "file"), bytes);
  await using store = await openContentStore({ root });
  make(blobIn(root), target);
  await expect(store.open(descriptor)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await expect(store.info(digest)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  const seen: string[] = [];
  for await (const info of store.walk()) seen.push(info.digest);
  expect(seen).toEqual([]);
  await writeBlob(store, "r", bytes, { expected: descriptor });
  expect(Buffer.from(await readBlob(store, descriptor)).equals(bytes)).toBe(true);
  expect(readFileSync(join(target, "file")).equals(bytes)).toBe(true);
});

// F11, F12
test.each(imposters)("%s in the place of a blob can be deleted and quarantined", async (_, make) => {
  await using temp = await tempDir();
  const [root, target] = [join(temp.path, "store"), join(temp.path, "target")];
  mkdirSync(target);
  writeFileSync(join(target, "file"), bytes);
  await using store = await openContentStore({ root });
  make(blobIn(root), target);
  await store.delete(digest);
  expect(existsSync(blobIn(root))).toBe(false);
  make(blobIn(root), target);
  const { id } = await store.quarantine(digest);
  expect(lstatSync(join(root, "quarantine", id)).isFile()).toBe(false);
  await store.discard(id);
  expect(readdirSync(join(root, "quarantine"))).toEqual([]);
  expect(readFileSync(join(target, "file")).equals(bytes)).toBe(true);
});

// F11
test("a quarantined blob keeps its bytes, in a file of its own", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  await writeBlob(store, "r", bytes);
  rmSync(blobIn(temp.path));
  writeFileSync(blobIn(temp.path), "damaged");
  const found = await store.quarantine(digest);
  expect(found).toMatchObject({ digest, size: 7 });
  expect(readFileSync(join(temp.path, "quarantine", found.id), "utf8")).toBe("damaged");
  await using other = await openContentStore({ root: temp.path });
  const listed = [];
  for await (const entry of other.quarantined()) listed.push(entry);
  expect(listed).toEqual([found]);
});

test("what is not named like a quarantined blob is neither listed nor discarded", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  mkdirSync(join(temp.path, "quarantine"));
  writeFileSync(join(temp.path, "quarantine", "notes"), "");
  for (const id of ["notes", "..", "../blobs", `sha256-${digestHex(digest)}.1.00000000/../../blobs`]) {
    await expect(store.discard(id)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  }
  for await (const entry of store.quarantined()) expect.unreachable(entry.id);
  expect(existsSync(join(dirname(blobIn(temp.path))))).toBe(true);
});
