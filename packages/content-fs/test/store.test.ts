import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { readBlob, writeBlob } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import { digestHex, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { expect, test } from "vitest";
import { changeRecord, ingestFiles, leftovers, tempDir } from "./temp.ts";

const isRoot = process.getuid?.() === 0;
const bytes = randomBytes(700_000);
const digest = digestOf(bytes);
const descriptor = { mediaType: "application/octet-stream", digest, size: bytes.byteLength };

// C-LCS.1, C-LCS.3, U-LCS.1
test("a blob is a read-only file named by its digest, and its ingest a record and a data file until then", async () => {
  await using temp = await tempDir();
  const root = join(temp.path, "made", "on", "the", "way");
  await using store = await openContentStore({ root });
  const writer = await store.writer("some ref");
  await writer.write(bytes);
  const { record, data } = ingestFiles(root, "some ref");
  expect(readdirSync(join(root, "ingest")).toSorted()).toEqual([basename(data), basename(record), "lock"].toSorted());
  await writer.commit(descriptor);
  const file = statSync(join(root, "blobs", "sha256", digestHex(digest)));
  expect(file.mode & 0o777).toBe(0o444);
  expect(file.size).toBe(bytes.byteLength);
  await store.close();
  expect(readdirSync(join(root, "ingest"))).toEqual(["lock"]);
});

test("without durability the store does the same", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path, durability: "none" });
  await writeBlob(store, "r", bytes, { expected: descriptor });
  expect(Buffer.from(await readBlob(store, descriptor)).equals(bytes)).toBe(true);
});

// C-LCS.2
test("a root that cannot be made is an error of the system", async () => {
  await using temp = await tempDir();
  writeFileSync(join(temp.path, "file"), "");
  await expect(openContentStore({ root: join(temp.path, "file", "store") })).rejects.toMatchObject({ code: "ENOTDIR" });
});

// C-LCS.7, U-LCS.7
test("who wants a ref that is held is told which, by whom and for how long", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  const writer = await store.writer("layer-x");
  await expect(store.writer("layer-x")).rejects.toThrow(
    /^ingest layer-x: held by process \d+ \(this one\) for \d+\.\d s, without progress for \d+\.\d s$/,
  );
  await writer.close();
});

test("what is not a digest never becomes a path", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  writeFileSync(join(temp.path, "secret"), "secret");
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a careless caller could do
  const bad = "sha256:../../secret" as Digest;
  await expect(store.open({ ...descriptor, digest: bad })).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  await expect(store.info(bad)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  await expect(store.delete(bad)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  await expect(store.writer("r", { expected: { digest: bad } })).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
  });
  expect(existsSync(join(temp.path, "secret"))).toBe(true);
});

// U-LCS.5
test("files that are no blobs are not walked", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  await writeBlob(store, "r", bytes);
  mkdirSync(join(temp.path, "blobs", "md5"));
  writeFileSync(join(temp.path, "blobs", "md5", "d41d8cd98f00b204e9800998ecf8427e"), "");
  writeFileSync(join(temp.path, "blobs", "sha256", "README"), "");
  writeFileSync(join(temp.path, "blobs", "notes"), "");
  mkdirSync(join(temp.path, "blobs", "sha256", "0".repeat(64)));
  const seen: string[] = [];
  for await (const info of store.walk()) seen.push(info.digest);
  expect(seen).toEqual([digest]);
});

// K01, K02, K08
test("what dead processes left half made is removed when the store is opened, and other ingests stay", async () => {
  await using temp = await tempDir();
  const first = await openContentStore({ root: temp.path });
  const kept = await first.writer("kept");
  await kept.write(bytes);
  await first.close();
  const files = [...Object.values(ingestFiles(temp.path, "kept")), join(temp.path, "ingest", "lock")];
  const uuid = "00000000-0000-4000-8000-000000000000";
  const [torn, orphan, dead] = ["a".repeat(64), "b".repeat(64), "1%2F1%2F"];
  // A record without end, one that was being replaced, bytes without a record, trash, a dead process's own file.
  const halves = [
    `${torn}.record`,
    `${torn}.record.new`,
    `${torn}.${uuid}`,
    `${orphan}.${uuid}`,
    `own-${dead}.${uuid}`,
  ];
  for (const name of halves) writeFileSync(join(temp.path, "ingest", name), '0000000000000000 held\n{"ref":"');
  mkdirSync(join(temp.path, "ingest", "trash-1"));
  writeFileSync(join(temp.path, "ingest", "trash-1", "data"), "");
  await using store = await openContentStore({ root: temp.path });
  const there = readdirSync(join(temp.path, "ingest")).map((name) => join(temp.path, "ingest", name));
  expect(there.toSorted()).toEqual(files.toSorted());
  expect((await store.status("kept")).offset).toBe(bytes.byteLength);
});

// K02
test("an ingest with a torn record starts over", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  const first = await store.writer("torn");
  await first.write(bytes);
  await first.close();
  truncateSync(ingestFiles(temp.path, "torn").record, 100);
  await expect(store.status("torn")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  const second = await store.writer("torn");
  expect(second.status().offset).toBe(0);
  await second.write(bytes);
  expect(await second.commit()).toBe(digest);
});

// K05
test("an ingest whose process died within its commit is continued", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  const first = await store.writer("sealed");
  await first.write(bytes.subarray(0, 1000));
  await first.close();
  const { data } = ingestFiles(temp.path, "sealed");
  chmodSync(data, 0o444);
  const second = await store.writer("sealed");
  expect(second.status().offset).toBe(1000);
  expect(statSync(data).mode & 0o200).toBe(0o200);
  await second.write(bytes.subarray(1000));
  expect(await second.commit()).toBe(digest);
});

// K03
test("bytes that the disk lost are found by the digest at the commit", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  const first = await store.writer("zeroed", { expected: descriptor });
  await first.write(bytes.subarray(0, 600_000));
  await first.close();
  const { data } = ingestFiles(temp.path, "zeroed");
  truncateSync(data, 500_000);
  truncateSync(data, 600_000);
  const second = await store.writer("zeroed", { expected: descriptor });
  await second.write(bytes.subarray(600_000));
  await expect(second.commit()).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  const third = await store.writer("zeroed", { expected: descriptor });
  await third.truncate();
  await third.write(bytes);
  expect(await third.commit()).toBe(digest);
});

// F11
test("a stored blob of the wrong size does not count as stored and is replaced", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  await writeBlob(store, "r", bytes);
  const path = join(temp.path, "blobs", "sha256", digestHex(digest));
  chmodSync(path, 0o600);
  truncateSync(path, 1000);
  await expect(readBlob(store, descriptor)).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  const writer = await store.writer("again", { expected: descriptor });
  await writer.write(bytes);
  expect(await writer.commit()).toBe(digest);
  expect(Buffer.from(await readBlob(store, descriptor)).equals(bytes)).toBe(true);
});

test("a blob that is cut while it is open is reported as lost data", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  await writeBlob(store, "r", bytes);
  await using reader = await store.open(descriptor);
  const path = join(temp.path, "blobs", "sha256", digestHex(digest));
  chmodSync(path, 0o600);
  truncateSync(path, 1000);
  await expect(reader.read(new Uint8Array(2000), 0)).rejects.toMatchObject({ code: "ERR_DATA_LOSS" });
});

// F01, F07: a write at the end of a full disk takes a part of the bytes first
test.skipIf(!isRoot)(
  "a full disk is reported as such, the ingest stays and can be finished (needs root to mount)",
  async () => {
    await using temp = await tempDir();
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "varve-test", temp.path]);
    try {
      await using store = await openContentStore({ root: temp.path });
      writeFileSync(join(temp.path, "ballast"), Buffer.alloc(500_000));
      const first = await store.writer("big", { expected: descriptor });
      const writeAll = async (): Promise<void> => {
        await first.write(bytes);
        await first.commit();
      };
      await expect(writeAll()).rejects.toMatchObject({ code: "ENOSPC" });
      await first.close();
      const { offset } = await store.status("big");
      expect(offset).toBeGreaterThan(0);
      expect(offset).toBeLessThan(bytes.byteLength);
      await expect(store.info(digest)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
      truncateSync(join(temp.path, "ballast"), 0);
      const second = await store.writer("big", { expected: descriptor });
      expect(second.status().offset).toBe(offset);
      await second.write(bytes.subarray(offset));
      expect(await second.commit()).toBe(digest);
    } finally {
      execFileSync("umount", [temp.path]);
    }
  },
);

test.skipIf(!isRoot)("things can be removed from a full disk (needs root to mount)", async () => {
  await using temp = await tempDir();
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "varve-test", temp.path]);
  try {
    await using store = await openContentStore({ root: temp.path });
    await writeBlob(store, "r", bytes);
    const writer = await store.writer("left");
    await writer.write(bytes.subarray(0, 100_000));
    await writer.close();
    expect(() => writeFileSync(join(temp.path, "ballast"), Buffer.alloc(1_000_000))).toThrow(/ENOSPC/);
    await expect(store.writer("new").then((opened) => opened.close())).rejects.toMatchObject({ code: "ENOSPC" });
    await store.abort("left");
    await store.delete(digest);
    expect(readdirSync(join(temp.path, "blobs", "sha256"))).toEqual([]);
    // And the attempt on the full disk has locked nothing.
    await (await store.writer("new")).close();
  } finally {
    execFileSync("umount", [temp.path]);
  }
});

// F05
test.skipIf(!isRoot)(
  "a store on a read-only file system can be read, and says why not written (needs root to mount)",
  async () => {
    await using temp = await tempDir();
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "varve-test", temp.path]);
    try {
      const first = await openContentStore({ root: temp.path });
      await writeBlob(first, "r", bytes);
      await first.close();
      mkdirSync(join(temp.path, "ingest", "a".repeat(64)));
      execFileSync("mount", ["-o", "remount,ro", temp.path]);
      await using store = await openContentStore({ root: temp.path });
      expect(Buffer.from(await readBlob(store, descriptor)).equals(bytes)).toBe(true);
      await expect(store.writer("new")).rejects.toMatchObject({ code: "EROFS" });
      await expect(store.delete(digest)).rejects.toMatchObject({ code: "EROFS" });
    } finally {
      execFileSync("umount", [temp.path]);
    }
  },
);

test("a store that is closed while writers are being opened leaves no ref held", async () => {
  await using temp = await tempDir();
  const first = await openContentStore({ root: temp.path });
  const left = await first.writer("left");
  await left.write(bytes);
  await left.close();
  const opening = [first.writer("left"), first.writer("new")];
  const outcomes = Promise.allSettled(opening);
  await first.close();
  await outcomes;
  await using second = await openContentStore({ root: temp.path });
  for (const ref of ["left", "new"]) {
    const writer = await second.writer(ref);
    expect(writer.status().ref).toBe(ref);
    await writer.close();
  }
});

test("a position that is no offset is refused", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  await writeBlob(store, "r", bytes);
  await using reader = await store.open(descriptor);
  for (const position of [-1, 0.5, Number.NaN]) {
    await expect(reader.read(new Uint8Array(1), position)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  }
});

test("a claim that fails half way does not lock the ref", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  await (await store.writer("r")).close();
  // In the way of the next record.
  const obstacle = `${ingestFiles(temp.path, "r").record}.new`;
  mkdirSync(obstacle);
  await expect(store.writer("r")).rejects.toMatchObject({ code: "EISDIR" });
  rmdirSync(obstacle);
  const writer = await store.writer("r");
  expect(writer.status().offset).toBe(0);
  await writer.close();
});

test("an ingest that a living process is about to end is not swept", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  const writer = await store.writer("ending");
  const { record, data } = ingestFiles(temp.path, "ending");
  // As between the two last steps of a commit: the bytes are a blob, the record is still there.
  rmSync(data);
  await (await openContentStore({ root: temp.path })).close();
  expect(existsSync(record)).toBe(true);
  await writer.close();
  await (await openContentStore({ root: temp.path })).close();
  expect(existsSync(record)).toBe(false);
});

// U-LCS.8
test("an ingest whose record is another ref's starts over", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  const first = await store.writer("mine");
  await first.write(bytes);
  await first.close();
  changeRecord(temp.path, "mine", { ref: "another" });
  await expect(store.status("mine")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  const second = await store.writer("mine");
  expect(second.status().offset).toBe(0);
  await second.close();
});

test("a blob that is stored while its writer waits is found, and no ingest is left", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  await (await store.writer("r")).close();
  const lock = new DatabaseSync(join(temp.path, "ingest", "lock"));
  lock.exec("BEGIN EXCLUSIVE");
  const waiting = store.writer("r", { expected: descriptor });
  const outcome = waiting.catch((error: unknown) => error);
  await sleep(50);
  writeFileSync(join(temp.path, "blobs", "sha256", digestHex(digest)), bytes);
  lock.exec("COMMIT");
  lock.close();
  expect(await outcome).toMatchObject({ code: "ERR_ALREADY_EXISTS" });
  expect(leftovers(temp.path)).toEqual([]);
});

test("waiting for the lock of the store ends with the reason of the signal", async () => {
  await using temp = await tempDir();
  await using store = await openContentStore({ root: temp.path });
  await (await store.writer("r")).close();
  const lock = new DatabaseSync(join(temp.path, "ingest", "lock"));
  lock.exec("BEGIN EXCLUSIVE");
  const controller = new AbortController();
  const waiting = store.writer("r", { signal: controller.signal });
  const reason = new Error("enough");
  setTimeout(() => controller.abort(reason), 20);
  await expect(waiting).rejects.toBe(reason);
  lock.close();
});
