import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { list, newWorld } from "./temp.ts";

const target = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: digestOf("m"), size: 1 };

// C-MD.10
test("a namespace is created, found, listed and deleted", async () => {
  await using world = await newWorld();
  const { namespaces } = world.metadata;
  const created = await namespaces.create("k8s.io", { labels: { a: "1" } });
  expect(created).toEqual({ name: "k8s.io", labels: { a: "1" } });
  expect(await namespaces.get("k8s.io")).toEqual(created);
  await expect(namespaces.create("k8s.io")).rejects.toMatchObject({
    code: "ERR_ALREADY_EXISTS",
    message: "namespace k8s.io: already exists",
  });
  await namespaces.create("default");
  expect(await list(namespaces.list())).toEqual([{ name: "default", labels: {} }, created]);
  await namespaces.delete("k8s.io");
  const missing = { code: "ERR_NOT_FOUND", message: "namespace k8s.io: not found" };
  await expect(namespaces.get("k8s.io")).rejects.toMatchObject(missing);
  await expect(namespaces.delete("k8s.io")).rejects.toMatchObject(missing);
  await expect(namespaces.label("k8s.io", {})).rejects.toMatchObject(missing);
});

// U-MD.1
test("what is no name of a namespace is refused", async () => {
  await using world = await newWorld();
  const { metadata } = world;
  const wrong = ["", "a/b", "a b", "a..b", "-a", "a-", "a_.b", ".", "..", "é", "a\0b", "a\n", "a".repeat(77)];
  for (const name of wrong) {
    expect(() => metadata.namespace(name)).toThrow(expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }));
    await expect(metadata.namespaces.create(name)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  }
  for (const name of ["a", "a.b-c_d", "0", "a".repeat(76)]) expect(metadata.namespace(name).name).toBe(name);
});

test("a namespace comes into being when something is put into it", async () => {
  await using world = await newWorld();
  const { namespaces } = world.metadata;
  expect(await list(namespaces.list())).toEqual([]);
  await world.one.images.create({ name: "a", target });
  await world.metadata.namespace("two").leases.create({ id: "a" });
  const writer = await world.metadata.namespace("three").content.writer("r");
  await writer.close();
  expect((await list(namespaces.list())).map(({ name }) => name)).toEqual(["one", "three", "two"]);
});

// U-MD.11, C-MD.10
test("a namespace with something in it is not deleted, and the message says what it is", async () => {
  await using world = await newWorld();
  const { one, metadata } = world;
  await one.images.create({ name: "a", target });
  await one.images.create({ name: "b", target });
  await one.leases.create({ id: "a" });
  const writer = await one.content.writer("r");
  await writer.close();
  await expect(metadata.namespaces.delete("one")).rejects.toMatchObject({
    code: "ERR_FAILED_PRECONDITION",
    message: "namespace one: not empty: 2 images, 1 ingest, 1 lease",
  });
  await one.images.delete("a");
  await one.images.delete("b");
  await one.leases.delete("a");
  await one.content.abort("r");
  await metadata.namespaces.delete("one");
  expect(await list(metadata.namespaces.list())).toEqual([]);
});

test("labels of a namespace are changed by name, within their limit", async () => {
  await using world = await newWorld();
  const { namespaces } = world.metadata;
  await namespaces.create("a", { labels: { one: "1", two: "2" } });
  const changed = await namespaces.label("a", { one: undefined, three: "3" });
  expect(changed).toEqual({ name: "a", labels: { two: "2", three: "3" } });
  await expect(namespaces.label("a", { long: "x".repeat(4096) })).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
  });
  expect(await namespaces.get("a")).toEqual(changed);
});

test("namespaces are filtered by name and labels", async () => {
  await using world = await newWorld();
  const { namespaces } = world.metadata;
  await namespaces.create("a", { labels: { team: "x" } });
  await namespaces.create("b");
  const found = async (...filters: string[]): Promise<string[]> =>
    (await list(namespaces.list({ filters }))).map(({ name }) => name);
  expect(await found("name==b")).toEqual(["b"]);
  expect(await found("labels.team==x")).toEqual(["a"]);
  await expect(found("name~=[")).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
});

// U-MD.2: keys are text from outside
test("labels may have the names of an object's own members", async () => {
  await using world = await newWorld();
  const labels = JSON.parse('{"__proto__":"1","constructor":"2"}');
  await world.metadata.namespaces.create("a", { labels });
  const found = await world.metadata.namespaces.label("a", { toString: "3" });
  expect(Object.entries(found.labels)).toEqual([...Object.entries(labels), ["toString", "3"]]);
});
