import { chmod, mkdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { missingPrograms, temporaryDirectory } from "@varve-tools/corpus";
import { connectContainerd } from "@varve/containerd";
import type { Containerd } from "@varve/containerd";
import { readBlob, writeBlob } from "@varve/content";
import type { ComparedLayer } from "@varve/diff";
import { createDiffer } from "@varve/differ";
import { digestOf } from "@varve/digest";
import { hasCode } from "@varve/errors";
import type { Mount } from "@varve/mount";
import { withTemporaryMount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startContainerd } from "../src/containerd/started-containerd.ts";
import type { Ctr, StartedContainerd } from "../src/containerd/started-containerd.ts";
import { environment } from "../src/images-under-test.ts";
import { readTree } from "../src/tree.ts";

const absent = await missingPrograms(["containerd", "ctr"]);
const missing = environment.missing ?? (absent.length === 0 ? undefined : `not installed: ${absent.join(", ")}`);
const why = missing === undefined ? "" : `: ${missing}`;
const mediaType = "application/vnd.oci.image.manifest.v1+json";

describe.skipIf(missing !== undefined)(`a containerd as our store (privileged${why})`, () => {
  const mounter = createLinuxMounter();
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let daemon: StartedContainerd;
  let count = 0;
  let containerd: Containerd;
  let ctr: Ctr;

  beforeAll(async () => {
    directory = await temporaryDirectory();
    daemon = await startContainerd({ directory: join(directory.path, "containerd") });
  });
  beforeEach(async () => {
    count += 1;
    const namespace = `test-${count}`;
    containerd = connectContainerd({ address: daemon.address, namespace });
    ctr = daemon.ctrIn(namespace);
    return () => containerd.close();
  });
  afterAll(async () => {
    await daemon.close();
    await directory[Symbol.asyncDispose]();
  });

  test("its version is what ctr says", async () => {
    expect(await ctr("version")).toContain(`Version:  ${await containerd.version()}`);
  });

  test("images are those that ctr knows, both ways, and are changed by field masks (6.6, C-MD.8)", async () => {
    const { images } = containerd;
    const target = { mediaType, digest: digestOf("manifest"), size: 8, annotations: { "a.b/c": "1" } };
    const created = await images.create({ name: "example.com/a:1", target, labels: { kept: "1", gone: "1" } });
    expect(created).toMatchObject({ name: "example.com/a:1", target, labels: { kept: "1", gone: "1" } });
    await expect(images.create({ name: "example.com/a:1", target })).rejects.toMatchObject({
      code: "ERR_ALREADY_EXISTS",
    });
    const relabelled = await images.update("example.com/a:1", { labels: { gone: undefined, new: "2" } });
    expect(relabelled).toMatchObject({ target, labels: { kept: "1", new: "2" } });
    expect(relabelled.labels).not.toHaveProperty("gone");
    const touched = await images.update("example.com/a:1", {});
    expect({ ...touched, updatedAt: undefined }).toEqual({ ...relabelled, updatedAt: undefined });
    expect(touched.updatedAt.getTime()).toBeGreaterThanOrEqual(relabelled.updatedAt.getTime());
    const annotated = await images.update("example.com/a:1", { annotations: { "a.b/c": undefined, d: "3" } });
    expect(annotated.target).toEqual({ ...target, annotations: { d: "3" } });
    expect(annotated.labels).toEqual({ kept: "1", new: "2" });
    const other = { mediaType, digest: digestOf("other"), size: 5 };
    const moved = await images.update("example.com/a:1", { target: other, labels: { l: "1" } }, { replace: true });
    expect(moved).toMatchObject({ name: "example.com/a:1", target: other });
    expect(moved.labels).toEqual({ l: "1" });
    expect(await ctr("images", "ls")).toMatch(new RegExp(`example\\.com/a:1 +${mediaType.replace("+", "\\+")} .* l=1`));
    await ctr("images", "tag", "example.com/a:1", "example.com/b:1");
    expect(await images.get("example.com/b:1")).toMatchObject({ target: other });
    expect((await Array.fromAsync(images.list())).map(({ name }) => name)).toEqual([
      "example.com/a:1",
      "example.com/b:1",
    ]);
    await images.put({ name: "example.com/b:1", target });
    await images.put({ name: "example.com/c:1", target });
    await expect(images.delete("example.com/b:1", { target: other.digest })).rejects.toMatchObject({
      code: "ERR_NOT_FOUND",
    });
    await images.delete("example.com/b:1", { target: target.digest });
    await images.delete("example.com/a:1");
    expect(await ctr("images", "ls", "-q")).toBe("example.com/c:1\n");
    const calls = [() => images.get("nobody"), () => images.update("nobody", {}), () => images.delete("nobody")];
    for (const call of calls) {
      await expect(call()).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
    }
  });

  test("leases are those that ctr knows, and hold what containerd lets them hold (6.6, C-MD.7)", async () => {
    const { leases } = containerd;
    const expiresAt = new Date(Date.now() + 3_600_000);
    expect(await leases.create({ id: "mine", labels: { a: "1" }, expiresAt })).toMatchObject({ id: "mine", expiresAt });
    await expect(leases.create({ id: "mine" })).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
    await ctr("leases", "create", "--id", "theirs", "b=2");
    const listed = await Array.fromAsync(leases.list());
    expect(listed.map(({ id }) => id)).toEqual(["mine", "theirs"]);
    expect(listed[0]?.expiresAt).toEqual(expiresAt);
    const resources = [
      { type: "content", id: digestOf("x") },
      { type: "ingest", id: "ref" },
      { type: "snapshot", snapshotter: "overlayfs", id: "a/b c" },
    ] as const;
    for (const resource of resources) {
      await leases.add("mine", resource);
      await leases.add("mine", resource);
    }
    expect(await Array.fromAsync(leases.resources("mine"))).toEqual(resources);
    // Before 2.0 it cannot.
    const image = leases.add("mine", { type: "image", id: "a" });
    await expect(image).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
    await leases.remove("mine", resources[0]);
    await leases.remove("mine", resources[0]);
    expect(await Array.fromAsync(leases.resources("mine"))).toEqual(resources.slice(1));
    await leases.delete("mine");
    expect(await ctr("leases", "ls", "-q")).toBe("theirs\n");
    const calls = [
      () => leases.delete("nobody"),
      () => leases.add("nobody", resources[0]),
      () => leases.remove("nobody", resources[0]),
      () => Array.fromAsync(leases.resources("nobody")),
    ];
    for (const call of calls) {
      await expect(call()).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
    }
  });

  test("what is made under a lease stays as long as the lease, and what is made without goes (U-GC)", async () => {
    const { id } = await containerd.leases.create();
    const held = containerd.withLease(id);
    const [kept, lost] = [Buffer.from("kept"), Buffer.from("lost")];
    await writeBlob(held.content, "kept", kept);
    await held.snapshotter("native").prepare("kept", undefined);
    await writeBlob(containerd.content, "lost", lost);
    await containerd.snapshotter("native").prepare("lost", undefined);
    await daemon.collect();
    const present = async (): Promise<unknown> => ({
      blobs: (await Array.fromAsync(containerd.content.walk())).map(({ digest }) => digest),
      snapshots: (await Array.fromAsync(containerd.snapshotter("native").walk())).map(({ name }) => name),
    });
    expect(await present()).toEqual({ blobs: [digestOf(kept)], snapshots: ["kept"] });
    await containerd.leases.delete(id);
    await daemon.collect();
    expect(await present()).toEqual({ blobs: [], snapshots: [] });
    await expect(held.content.writer("gone")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  });

  test("its differ makes the layers that ours applies, and applies those that ours makes (6.4, U-DIFF.1)", async () => {
    const held = containerd.withLease((await containerd.leases.create()).id);
    const snapshotter = held.snapshotter("overlayfs");
    const base = await snapshotter.prepare("base", undefined);
    await withTemporaryMount(mounter, base, async (root) => {
      await mkdir(join(root, "etc"));
      await writeFile(join(root, "etc/passwd"), "root");
      await chmod(join(root, "etc/passwd"), 0o4751);
      // Whole seconds are all that every archive can say.
      for (const path of ["etc/passwd", "etc"]) await utimes(join(root, path), 1_000_000, 1_000_000);
    });
    await using ours = createDiffer({ content: held.content, mounter });
    const made: ComparedLayer[] = [
      await held.differ.compare([], base, { labels: { own: "1" } }),
      await ours.compare([], base),
      await held.differ.compare([], base, { mediaType: "application/vnd.oci.image.layer.v1.tar" }),
    ];
    expect(made[0]?.entries).toBe(2);
    const { labels } = await held.content.info(made[0]?.descriptor.digest ?? digestOf(""));
    expect({ ...labels }).toEqual({ own: "1", "containerd.io/uncompressed": made[0]?.diffId });
    const treeAt = async (mounts: readonly Mount[]): Promise<unknown> => {
      const tree = await withTemporaryMount(mounter, mounts, async (root) => readTree(root));
      // No layer says anything about the root.
      tree.delete("");
      return tree;
    };
    const expected = await treeAt(base);
    for (const [index, { descriptor, diffId, size }] of made.entries()) {
      for (const [name, applier] of [
        ["theirs", held.differ],
        ["ours", ours],
      ] as const) {
        const mounts = await snapshotter.prepare(`${name}-${index}`, undefined);
        const applied = await applier.apply(descriptor, mounts);
        expect(applied).toMatchObject({ digest: diffId, size });
        expect(await treeAt(mounts), name).toEqual(expected);
      }
    }
  });

  test("what its differ cannot apply or make has an error of its own", async () => {
    const held = containerd.withLease((await containerd.leases.create()).id);
    const mounts = await held.snapshotter("overlayfs").prepare("key", undefined);
    const gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
    const broken = Buffer.from("no layer at all, but long enough to be looked at");
    await writeBlob(held.content, "broken", broken);
    const layer = { mediaType: gzip, digest: digestOf(broken), size: broken.byteLength };
    const { differ } = held;
    const failures: [string, () => Promise<unknown>][] = [
      ["ERR_INVALID_DATA", () => differ.apply(layer, mounts)],
      ["ERR_NOT_IMPLEMENTED", () => differ.apply({ ...layer, mediaType: "text/plain" }, mounts)],
      ["ERR_NOT_FOUND", () => differ.apply({ ...layer, digest: digestOf("nothing") }, mounts)],
      ["ERR_NOT_IMPLEMENTED", () => differ.compare([], mounts, { mediaType: "text/plain" })],
      ["ERR_NOT_IMPLEMENTED", () => differ.compare([], mounts, { sourceDateEpoch: 0 })],
    ];
    for (const [code, failing] of failures) await expect(failing()).rejects.toMatchObject({ code });
  });

  test("a write goes on after a containerd that was killed is there again (P-CS.7)", async () => {
    const held = containerd.withLease((await containerd.leases.create()).id);
    const blob = Buffer.alloc(3_000_000, "some bytes, ");
    const writer = await held.content.writer("ref", { expected: { size: blob.byteLength } });
    await writer.write(blob.subarray(0, 2_000_000));
    await writer.digest();
    await daemon.kill();
    const lost = { code: "ERR_NETWORK" };
    await writer.write(blob.subarray(2_000_000));
    await expect(writer.digest()).rejects.toMatchObject(lost);
    await writer.close();
    await expect(held.content.writer("ref")).rejects.toMatchObject(lost);
    await expect(containerd.snapshotter("overlayfs").stat("key")).rejects.toMatchObject(lost);
    await daemon.start();
    const next = await held.content.writer("ref", { expected: { size: blob.byteLength } });
    expect(next.status().offset).toBe(2_000_000);
    await next.write(blob.subarray(2_000_000));
    const digest = await next.commit();
    const read = await readBlob(held.content, { mediaType, digest, size: blob.byteLength });
    expect(blob.equals(read)).toBe(true);
  });

  test("an abort while a commit runs leaves either the blob or nothing, also over the wire (U-LCS.14, U-CS.4)", async () => {
    const { content } = containerd.withLease((await containerd.leases.create()).id);
    for (const turns of [0, 1, 3, 10]) {
      const bytes = Buffer.alloc(4_000_000, `blob ${turns}`);
      const writer = await content.writer("contested");
      await writer.write(bytes);
      const committing = writer.commit().then(
        () => "committed",
        (error: unknown) => (hasCode(error, "ERR_ABORTED") ? "aborted" : error),
      );
      for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      await content.abort("contested").catch((error: unknown) => {
        if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
      });
      const outcome = await committing;
      const digests = (await Array.fromAsync(content.walk())).map(({ digest }) => digest);
      expect([outcome, digests.includes(digestOf(bytes))]).toEqual([outcome, outcome === "committed"]);
      expect(["committed", "aborted"]).toContain(outcome);
      expect(await Array.fromAsync(content.statuses())).toEqual([]);
      const next = await content.writer("contested");
      expect(next.status().offset).toBe(0);
      await next.close();
      await content.abort("contested");
    }
  });

  test("a connection that is closed in the middle of a write leaves no lock behind", async () => {
    const held = containerd.withLease((await containerd.leases.create()).id);
    const other = connectContainerd({ address: daemon.address, namespace: containerd.namespace });
    const writer = await held.content.writer("ref");
    await writer.write(Buffer.from("left"));
    expect(await writer.digest()).toBe(digestOf("left"));
    await containerd.close();
    await expect(writer.write(Buffer.from("x")).then(() => writer.digest())).rejects.toMatchObject({
      code: "ERR_ABORTED",
    });
    const next = await other.content.writer("ref");
    expect(next.status().offset).toBe(4);
    await next.close();
    await other.close();
  });
});
