import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { openBackends, openClient } from "@varve/client";
import { writeBlob } from "@varve/content";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { expect, test } from "vitest";
import { tarOf } from "./layer-bytes.ts";
import { tempDirectory } from "./temp.ts";

test("backends by themselves are beside the store of a client, whose collector leaves them alone (P-SN.6)", async () => {
  await using temp = await tempDirectory();
  const bytes = Buffer.from("kept");
  const digest = digestOf(bytes);
  await using backends = await openBackends({ root: temp.path, snapshotters: ["native"] });
  await writeBlob(backends.content, "ref", bytes, { expected: { digest, size: bytes.length } });
  await backends.snapshotters["native"]?.prepare("key", undefined);
  await using client = await openClient({ root: temp.path, snapshotter: "native" });
  await (await client.snapshotter()).prepare("other", undefined);
  expect(await Array.fromAsync(client.content.walk())).toEqual([]);
  await client.gc();
  expect(backends.root).toBe(join(temp.path, "containerd"));
  await expect(backends.content.info(digest)).resolves.toMatchObject({ size: bytes.length });
  await expect(backends.snapshotters["native"]?.stat("key")).resolves.toMatchObject({ kind: "active" });
});

test("a snapshotter that is not known is refused before anything is made", async () => {
  await using temp = await tempDirectory();
  const root = join(temp.path, "none");
  const opening = openBackends({ root, snapshotters: ["native", "zfs"] });
  await expect(opening).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  expect(existsSync(root)).toBe(false);
});

test("their applier takes the layers that their content store has, and leaves others to somebody else (6.4)", async () => {
  await using temp = await tempDirectory();
  await using backends = await openBackends({ root: temp.path, snapshotters: ["native"], durability: "none" });
  const layer = await tarOf({ file: "text" });
  const descriptor = { mediaType: mediaTypes.ociLayer, digest: digestOf(layer), size: layer.length };
  const mounts = await backends.snapshotters["native"]?.prepare("key", undefined);
  const apply = (): Promise<unknown> => backends.applier.apply(descriptor, mounts ?? []);
  await expect(apply()).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
  await writeBlob(backends.content, "ref", layer, { expected: descriptor });
  await expect(apply()).resolves.toMatchObject({ digest: descriptor.digest, size: layer.length });
  expect(await readFile(join(mounts?.[0]?.source ?? "", "file"), "utf8")).toBe("text");
});

test("closing them twice is allowed", async () => {
  await using temp = await tempDirectory();
  const backends = await openBackends({ root: temp.path, snapshotters: ["native"] });
  await backends.close();
  await backends.close();
  await expect(backends.content.info(digestOf(""))).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
});
