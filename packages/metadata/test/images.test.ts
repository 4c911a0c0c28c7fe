import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { ImageChanges, ImageRecord } from "@varve/images";
import type { Descriptor } from "@varve/oci";
import { describe, expect, test } from "vitest";
import { list, newWorld } from "./temp.ts";
import type { World } from "./temp.ts";

const target: Descriptor = {
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  digest: digestOf("a manifest"),
  size: 10,
  annotations: { note: "kept", other: "too" },
};
const other: Descriptor = {
  mediaType: "application/vnd.oci.image.index.v1+json",
  digest: digestOf("another manifest"),
  size: 16,
};
const name = "docker.io/library/debian:12";

// U-MD.9
test("an image that was created is found as it was given", async () => {
  await using world = await newWorld();
  const { images } = world.one;
  const before = Date.now();
  const created = await images.create({ name, target, labels: { a: "1" } });
  expect(created).toMatchObject({ name, target, labels: { a: "1" } });
  expect(created.createdAt).toEqual(created.updatedAt);
  expect(created.createdAt.getTime()).toBeGreaterThanOrEqual(before);
  expect(await images.get(name)).toEqual(created);
});

// U-MD.9
test("creating an image under a used name fails and changes nothing", async () => {
  await using world = await newWorld();
  const { images } = world.one;
  const created = await images.create({ name, target });
  await expect(images.create({ name, target: other })).rejects.toMatchObject({
    code: "ERR_ALREADY_EXISTS",
    message: `image ${name}: already exists`,
  });
  expect(await images.get(name)).toEqual(created);
});

test("an image of one namespace is none of another's business", async () => {
  await using world = await newWorld();
  const two = world.metadata.namespace("two").images;
  await world.one.images.create({ name, target });
  await expect(two.get(name)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await two.create({ name, target: other });
  await two.delete(name);
  expect((await world.one.images.get(name)).target).toEqual(target);
});

test("putting an image moves its name and keeps labels that are not given", async () => {
  await using world = await newWorld();
  const { images } = world.one;
  const first = await images.put({ name, target, labels: { a: "1", b: "2" } });
  const second = await images.put({ name, target: other, labels: { b: "two", c: "3" } });
  expect(second).toMatchObject({ target: other, labels: { a: "1", b: "two", c: "3" } });
  expect(second.createdAt).toEqual(first.createdAt);
  expect(second.updatedAt.getTime()).toBeGreaterThanOrEqual(first.updatedAt.getTime());
  expect(await images.get(name)).toEqual(second);
});

/** An image whose times are long ago, so that a change of them shows. */
async function oldImage({ one, metadata }: World): Promise<ImageRecord> {
  const image = await one.images.create({ name, target, labels: { a: "1", b: "2" } });
  await metadata.namespace("two").images.create({ name, target });
  await new Promise((resolve) => setTimeout(resolve, 2));
  return image;
}

// C-MD.9, each named case of it
describe("updating an image", () => {
  const given = { target, labels: { a: "1", b: "2" } };
  const noAnnotations = { mediaType: target.mediaType, digest: target.digest, size: target.size };
  const cases: {
    title: string;
    changes: ImageChanges;
    replace?: boolean;
    gives: Pick<ImageRecord, "target" | "labels">;
  }[] = [
    { title: "without changes changes its time (Touch)", changes: {}, gives: given },
    {
      title: "replaces all labels (ReplaceLabels, ReplaceLabelsFieldPath)",
      changes: { labels: { c: "3" } },
      replace: true,
      gives: { target, labels: { c: "3" } },
    },
    {
      title: "replaces labels and annotations (ReplaceLabelsAnnotationsFieldPath)",
      changes: { labels: { c: "3" }, annotations: { new: "yes" } },
      replace: true,
      gives: { target: { ...target, annotations: { new: "yes" } }, labels: { c: "3" } },
    },
    {
      title: "changes one label (ReplaceLabel)",
      changes: { labels: { a: "one" } },
      gives: { target, labels: { a: "one", b: "2" } },
    },
    {
      title: "removes one label",
      changes: { labels: { a: undefined } },
      gives: { target, labels: { b: "2" } },
    },
    {
      title: "changes one annotation (ReplaceAnnotation)",
      changes: { annotations: { note: "new" } },
      gives: { ...given, target: { ...target, annotations: { note: "new", other: "too" } } },
    },
    {
      title: "removes all annotations",
      changes: { annotations: {} },
      replace: true,
      gives: { ...given, target: noAnnotations },
    },
    {
      title: "replaces the target with its annotations (ReplaceTargetTypeAndAnnotations)",
      changes: { target: { ...target, mediaType: other.mediaType }, annotations: { new: "yes" } },
      replace: true,
      gives: { ...given, target: { ...target, mediaType: other.mediaType, annotations: { new: "yes" } } },
    },
    {
      title: "replaces the target as a unit (ReplaceTarget, ReplaceTargetFieldpath)",
      changes: { target: other },
      gives: { ...given, target: other },
    },
  ];
  for (const { title, changes, replace, gives } of cases) {
    test(`an update ${title}`, async () => {
      await using world = await newWorld();
      const old = await oldImage(world);
      const updated = await world.one.images.update(name, changes, { replace });
      expect(updated).toEqual({ ...old, ...gives, updatedAt: updated.updatedAt });
      expect(updated.updatedAt.getTime()).toBeGreaterThan(old.updatedAt.getTime());
      expect(await world.one.images.get(name)).toEqual(updated);
      expect(await world.metadata.namespace("two").images.get(name)).toMatchObject({ target, labels: {} });
    });
  }

  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a careless caller could do
  const rename = { name: "other" } as ImageChanges;
  const wrong: { name: string; changes: ImageChanges }[] = [
    { name: "to a target without a size (EmptySize)", changes: { target: { ...target, size: 0 } } },
    { name: "to a target without a media type (EmptyMediaType)", changes: { target: { ...target, mediaType: "" } } },
    { name: "to another name (TryUpdateNameFail)", changes: rename },
    { name: "to a label that is too long", changes: { labels: { long: "x".repeat(4093) } } },
  ];
  for (const { name: title, changes } of wrong) {
    test(`is refused ${title}`, async () => {
      await using world = await newWorld();
      const old = await oldImage(world);
      await expect(world.one.images.update(name, changes)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
      expect(await world.one.images.get(name)).toEqual(old);
    });
  }

  test("is refused if there is none", async () => {
    await using world = await newWorld();
    const missing = { code: "ERR_NOT_FOUND", message: `image ${name}: not found` };
    await expect(world.one.images.update(name, {})).rejects.toMatchObject(missing);
  });
});

test("images are listed by name, more than a page of them too", async () => {
  await using world = await newWorld();
  const names = Array.from({ length: 1005 }, (_, index) => `image-${(index * 7919) % 5000}`);
  await Promise.all(names.map((each) => world.one.images.put({ name: each, target })));
  const listed = (await list(world.one.images.list())).map((image) => image.name);
  expect(listed).toEqual(names.toSorted());
});

// U-MD.16
test("images can be changed while they are listed", async () => {
  await using world = await newWorld();
  for (const each of ["a", "b", "c"]) await world.one.images.put({ name: each, target });
  for await (const image of world.one.images.list()) await world.one.images.delete(image.name);
  expect(await list(world.one.images.list())).toEqual([]);
});

// C-MD.8
test("images are filtered by name, label, annotation, digest and media type, and one filter of several is enough", async () => {
  await using world = await newWorld();
  const { images } = world.one;
  await images.create({ name: "a", target, labels: { tier: "one" } });
  await images.create({ name: "b", target: other, labels: { tier: "two" } });
  await images.create({ name: "c", target: other });
  const found = async (...filters: string[]): Promise<string[]> =>
    (await list(images.list({ filters }))).map((image) => image.name);
  expect(await found()).toEqual(["a", "b", "c"]);
  expect(await found("name==a")).toEqual(["a"]);
  expect(await found("name~=^[ab]$")).toEqual(["a", "b"]);
  expect(await found("labels.tier")).toEqual(["a", "b"]);
  expect(await found("labels.tier==one", "name==c")).toEqual(["a", "c"]);
  expect(await found("labels.tier==two,name==c")).toEqual([]);
  expect(await found(`target.digest==${target.digest}`)).toEqual(["a"]);
  expect(await found("target.mediatype~=index")).toEqual(["b", "c"]);
  expect(await found("annotations.note==kept")).toEqual(["a"]);
  expect(await found(`name==""`)).toEqual([]);
  await expect(found("name=a")).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
});

// U-MD.9
test("an image is deleted only if its target is the one that is named", async () => {
  await using world = await newWorld();
  const { images } = world.one;
  await images.create({ name, target });
  await expect(images.delete(name, { target: other.digest })).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: `image ${name}: its target is ${target.digest}, not ${other.digest}`,
  });
  expect((await images.get(name)).target).toEqual(target);
  await images.delete(name, { target: target.digest });
  await expect(images.get(name)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

test("an image that is deleted, or never was, is not found", async () => {
  await using world = await newWorld();
  await world.one.images.create({ name, target });
  await world.one.images.delete(name);
  const missing = { code: "ERR_NOT_FOUND", message: `image ${name}: not found` };
  await expect(world.one.images.get(name)).rejects.toMatchObject(missing);
  await expect(world.one.images.delete(name)).rejects.toMatchObject(missing);
});

// U-MD.9, U-MD.2, C-MD.9: NoTarget, EmptySizeOnCreate
test("an image without a name, or with a target that lacks something, is refused", async () => {
  await using world = await newWorld();
  /* oxlint-disable typescript/no-unsafe-type-assertion -- what a careless caller could do */
  const badDigest = "sha256:xyz" as Digest;
  const noTarget = undefined as unknown as Descriptor;
  /* oxlint-enable */
  const wrong = [
    { name: "", target },
    { name, target: noTarget },
    { name, target: { ...target, mediaType: "" } },
    { name, target: { ...target, digest: badDigest } },
    { name, target: { ...target, size: 0 } },
    { name, target: { ...target, size: -1 } },
    { name, target, labels: { long: "x".repeat(4093) } },
    { name, target, labels: { "": "x" } },
  ];
  for (const image of wrong) {
    await expect(world.one.images.create(image)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    await expect(world.one.images.put(image)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  }
  expect(await list(world.one.images.list())).toEqual([]);
});

// U-MD.10
test("a lease holds the images that are created under it, also those that existed", async () => {
  await using world = await newWorld();
  const { one } = world;
  await one.leases.create({ id: "pull" });
  const { images } = one.under("pull");
  await one.images.create({ name: "b", target });
  await images.create({ name: "a", target });
  await expect(images.create({ name: "b", target })).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
  await images.put({ name: "c", target });
  await one.images.put({ name: "d", target });
  const held = await list(one.leases.resources("pull"));
  expect(held).toEqual(["a", "b", "c"].map((id) => ({ type: "image", id })));
});

test("an image under a lease that is gone is not created", async () => {
  await using world = await newWorld();
  const { images } = world.one.under("gone");
  const missing = { code: "ERR_NOT_FOUND", message: "lease gone: not found" };
  await expect(images.put({ name, target })).rejects.toMatchObject(missing);
  await expect(images.get(name)).rejects.toMatchObject({ message: `image ${name}: not found` });
});

test("every call is rejected with the reason of an aborted signal, and changes nothing", async () => {
  await using world = await newWorld();
  const { images } = world.one;
  const image = await images.create({ name, target });
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  await expect(images.get(name, { signal })).rejects.toBe(reason);
  await expect(list(images.list({ signal }))).rejects.toBe(reason);
  await expect(images.create({ name: "new", target }, { signal })).rejects.toBe(reason);
  await expect(images.put({ name, target: other }, { signal })).rejects.toBe(reason);
  await expect(images.update(name, { target: other }, { signal })).rejects.toBe(reason);
  await expect(images.delete(name, { signal })).rejects.toBe(reason);
  expect(await list(images.list())).toEqual([image]);
});
