import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { openClient } from "@varve/client";
import type { Change, Client } from "@varve/client";
import { labelGcRoot, labelUncompressed, readBlob } from "@varve/content";
import { digestOf } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { expect, test } from "vitest";
import { tempDirectory } from "./temp.ts";
import type { TempDirectory } from "./temp.ts";

const run = promisify(execFile);
const isRoot = process.geteuid?.() === 0;
const labels = { [labelGcRoot]: "test" };

/** Opens a client whose store has the committed snapshots `base` and `top`, which stands on it. */
async function clientWithSnapshots(temp: TempDirectory, name: string, skip: (note: string) => void): Promise<Client> {
  const client = await openClient({ root: join(temp.path, "store"), snapshotter: name, durability: "none" });
  const snapshotter = await client.snapshotter().catch(async (error: unknown) => {
    await client.close();
    if (hasCode(error, "ERR_NOT_IMPLEMENTED")) skip(`${name} does not work here`);
    throw error;
  });
  const target = join(temp.path, "target");
  await mkdir(target);
  const steps = [
    ["base", undefined, "mkdir d; echo a > d/file; echo b > gone"],
    ["top", "base", "echo c >> d/file; rm gone; echo d > new"],
  ] as const;
  for (const [key, parent, script] of steps) {
    await snapshotter.prepare("work", parent, { labels });
    await client.mountSnapshot("work", target, { writable: true });
    await run("sh", ["-c", script], { cwd: target });
    await client.unmount(target);
    await snapshotter.commit(key, "work", { labels });
  }
  return client;
}

async function names(client: Client): Promise<string[]> {
  const all = await Array.fromAsync((await client.snapshotter()).walk());
  return all.map(({ name }) => name).toSorted();
}

async function mounted(temp: TempDirectory): Promise<string[]> {
  const mounts = await readFile("/proc/self/mountinfo", "utf8");
  return mounts.split("\n").filter((line) => line.includes(temp.path));
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

test.skipIf(!isRoot).for(["native", "overlay"])(
  "the changes of a snapshot of %s are listed, and stored as a layer (skipped: only root may mount)",
  async (snapshotter, { skip }) => {
    await using temp = await tempDirectory();
    await using client = await clientWithSnapshots(temp, snapshotter, skip);
    let changes: readonly Change[] = [];
    await client.readChanges("top", async (found) => void (changes = await Array.fromAsync(found)));
    expect(changes.map(({ kind, path }) => [kind, path.toString()])).toEqual(
      expect.arrayContaining([
        ["modified", "d/file"],
        ["deleted", "gone"],
        ["added", "new"],
      ]),
    );
    const layer = await client.createLayer("top", { labels: { ...labels, team: "a" } });
    const blob = await readBlob(client.content, layer.descriptor, { limit: 1e6 });
    const tar = gunzipSync(blob);
    expect(layer).toMatchObject({ diffId: digestOf(tar), size: tar.length });
    await expect(client.content.info(layer.descriptor.digest)).resolves.toMatchObject({
      labels: { [labelUncompressed]: layer.diffId, team: "a" },
    });
    let written: Buffer = Buffer.alloc(0);
    await client.writeLayer("top", async (bytes) => void (written = await collect(bytes)));
    expect(written.equals(tar)).toBe(true);
    // The same once more, and the reverse way.
    await expect(client.createLayer("top", { labels })).resolves.toEqual(layer);
    await client.readChanges("base", async (found) => void (changes = await Array.fromAsync(found)), { base: "top" });
    expect(changes.map(({ kind, path }) => [kind, path.toString()])).toContainEqual(["deleted", "new"]);
    await expect(names(client)).resolves.toEqual(["base", "top"]);
    await expect(mounted(temp)).resolves.toEqual([]);
    await expect(Array.fromAsync(client.leases.list())).resolves.toEqual([]);
  },
);

test.skipIf(!isRoot).for(["native", "overlay"])(
  "no collection takes what is being compared with %s, and after an abort nothing stays (skipped: only root may mount)",
  async (snapshotter, { skip }) => {
    await using temp = await tempDirectory();
    await using client = await clientWithSnapshots(temp, snapshotter, skip);
    const collectThenRead = async (layer: AsyncIterable<Uint8Array>): Promise<void> => {
      const before = await names(client);
      expect(before).toHaveLength(4);
      await client.gc();
      await expect(names(client)).resolves.toEqual(before);
      await collect(layer);
    };
    await expect(client.writeLayer("top", collectThenRead)).resolves.toMatchObject({ entries: expect.any(Number) });
    await expect(names(client)).resolves.toEqual(["base", "top"]);
    const stop = new AbortController();
    const reason = new Error("enough");
    const abort = async (layer: AsyncIterable<Uint8Array>): Promise<void> => {
      stop.abort(reason);
      await collect(layer);
    };
    await expect(client.writeLayer("top", abort, { signal: stop.signal })).rejects.toBe(reason);
    const failure = new Error("no space");
    await expect(client.writeLayer("top", () => Promise.reject(failure))).rejects.toBe(failure);
    await expect(client.readChanges("top", () => Promise.reject(failure))).rejects.toBe(failure);
    await expect(names(client)).resolves.toEqual(["base", "top"]);
    await expect(mounted(temp)).resolves.toEqual([]);
    await expect(readdir(join(client.root, "mounts"))).resolves.toEqual([]);
    await expect(Array.fromAsync(client.leases.list())).resolves.toEqual([]);
  },
);

test.skipIf(!isRoot)(
  "a stored layer stays for a lease, and without one the next collection takes it (skipped: only root may mount)",
  async ({ skip }) => {
    await using temp = await tempDirectory();
    await using client = await clientWithSnapshots(temp, "native", skip);
    const lease = await client.leases.create();
    const kept = await client.createLayer("top", { lease: lease.id });
    const other = await client.createLayer("base");
    await client.gc();
    await expect(client.content.info(kept.descriptor.digest)).resolves.toBeDefined();
    await expect(client.content.info(other.descriptor.digest)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
    await client.leases.delete(lease.id);
    await client.gc();
    await expect(client.content.info(kept.descriptor.digest)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  },
);

test("plain directories are compared without a mount, by whoever may not mount", async () => {
  await using temp = await tempDirectory();
  await using client = await openClient({ root: join(temp.path, "store"), snapshotter: "native", durability: "none" });
  const snapshotter = await client.snapshotter();
  const [mount] = await snapshotter.prepare("work", undefined, { labels });
  await writeFile(join(mount?.source ?? "", "file"), "text");
  let changes: readonly Change[] = [];
  await client.readChanges("work", async (found) => void (changes = await Array.fromAsync(found)));
  expect(changes.map(({ kind, path }) => [kind, path.toString()])).toContainEqual(["added", "file"]);
  await expect(client.readChanges("nope", async () => undefined)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await expect(client.createLayer("work", { base: "nope" })).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await expect(names(client)).resolves.toEqual(["work"]);
});

test.skipIf(!isRoot)(
  "a layer that must be begun again is stored whole, and never handed on twice (skipped: only root may mount)",
  async ({ skip }) => {
    await using temp = await tempDirectory();
    await using client = await clientWithSnapshots(temp, "overlay", skip);
    const snapshotter = await client.snapshotter();
    const [mount] = await snapshotter.prepare("work", "top", { labels });
    const upper = mount?.options.find((option) => option.startsWith("upperdir="))?.slice("upperdir=".length) ?? "";
    await writeFile(join(upper, "a-large"), Buffer.alloc(3_000_000, 1));
    await writeFile(join(upper, "z-linked"), "linked below");
    // The kernel leaves this where names of lower layers show the same file: then the upper directory alone does not tell all.
    await run("setfattr", ["-n", "trusted.overlay.nlink", "-v", "L+0", join(upper, "z-linked")]);
    let handedOn: Uint8Array | undefined;
    const writing = client.writeLayer("work", async (layer) => void (handedOn = await collect(layer)));
    await expect(writing).rejects.toMatchObject({
      code: "ERR_NOT_IMPLEMENTED",
      message: expect.stringContaining("createLayer"),
    });
    expect(handedOn).toBeUndefined();
    const { descriptor, size } = await client.createLayer("work", { labels, compression: "none" });
    expect(descriptor.size).toBe(size);
    const listed = await run("tar", [
      "-tf",
      join(temp.path, "store/content/blobs", descriptor.digest.replace(":", "/")),
    ]);
    expect(listed.stdout.split("\n").filter((line) => /a-large|z-linked/.test(line))).toEqual(["a-large", "z-linked"]);
  },
);
