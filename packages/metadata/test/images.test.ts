import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { Descriptor } from "@varve/oci";
import { expect, test } from "vitest";
import { list, openIn, tempDir } from "./temp.ts";

const target: Descriptor = {
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  digest: digestOf("a manifest"),
  size: 10,
  annotations: { note: "kept" },
};
const other: Descriptor = { ...target, digest: digestOf("another manifest"), size: 16 };
const name = "docker.io/library/debian:12";

// U-MD.9
test("an image that was created is found as it was given", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  const before = Date.now();
  const created = await metadata.images.create({ name, target, labels: { a: "1" } });
  expect(created).toMatchObject({ name, target, labels: { a: "1" } });
  expect(created.createdAt).toEqual(created.updatedAt);
  expect(created.createdAt.getTime()).toBeGreaterThanOrEqual(before);
  expect(await metadata.images.get(name)).toEqual(created);
});

// U-MD.9
test("creating an image under a used name fails and changes nothing", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  const created = await metadata.images.create({ name, target });
  await expect(metadata.images.create({ name, target: other })).rejects.toMatchObject({
    code: "ERR_ALREADY_EXISTS",
    message: `image ${name}: already exists`,
  });
  expect(await metadata.images.get(name)).toEqual(created);
});

test("putting an image moves its name and keeps labels that are not given", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  const first = await metadata.images.put({ name, target, labels: { a: "1", b: "2" } });
  const second = await metadata.images.put({ name, target: other, labels: { b: "two", c: "3" } });
  expect(second).toMatchObject({ target: other, labels: { a: "1", b: "two", c: "3" } });
  expect(second.createdAt).toEqual(first.createdAt);
  expect(second.updatedAt.getTime()).toBeGreaterThanOrEqual(first.updatedAt.getTime());
  expect(await metadata.images.get(name)).toEqual(second);
});

test("images are listed by name, more than a page of them too", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  const names = Array.from({ length: 205 }, (_, index) => `image-${(index * 7919) % 1000}`);
  for (const each of names) await metadata.images.put({ name: each, target });
  const listed = (await list(metadata.images.list())).map((image) => image.name);
  expect(listed).toEqual(names.toSorted());
});

test("images can be changed while they are listed", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  for (const each of ["a", "b", "c"]) await metadata.images.put({ name: each, target });
  for await (const image of metadata.images.list()) await metadata.images.delete(image.name);
  expect(await list(metadata.images.list())).toEqual([]);
});

test("an image that is deleted, or never was, is not found", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  await metadata.images.create({ name, target });
  await metadata.images.delete(name);
  const missing = { code: "ERR_NOT_FOUND", message: `image ${name}: not found` };
  await expect(metadata.images.get(name)).rejects.toMatchObject(missing);
  await expect(metadata.images.delete(name)).rejects.toMatchObject(missing);
});

// U-MD.9, U-MD.2
test("an image without a name, or with a target that lacks something, is refused", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a careless caller could do
  const badDigest = "sha256:xyz" as Digest;
  const wrong = [
    { name: "", target },
    { name, target: { ...target, mediaType: "" } },
    { name, target: { ...target, digest: badDigest } },
    { name, target: { ...target, size: 0 } },
    { name, target: { ...target, size: -1 } },
    { name, target, labels: { long: "x".repeat(4093) } },
    { name, target, labels: { "": "x" } },
  ];
  for (const image of wrong) {
    await expect(metadata.images.create(image)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    await expect(metadata.images.put(image)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  }
  expect(await list(metadata.images.list())).toEqual([]);
});

test("every call is rejected with the reason of an aborted signal, and changes nothing", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  const image = await metadata.images.create({ name, target });
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  await expect(metadata.images.get(name, { signal })).rejects.toBe(reason);
  await expect(list(metadata.images.list({ signal }))).rejects.toBe(reason);
  await expect(metadata.images.create({ name: "new", target }, { signal })).rejects.toBe(reason);
  await expect(metadata.images.put({ name, target: other }, { signal })).rejects.toBe(reason);
  await expect(metadata.images.delete(name, { signal })).rejects.toBe(reason);
  expect(await list(metadata.images.list())).toEqual([image]);
});
