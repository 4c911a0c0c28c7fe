import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { LeaseResource } from "@varve/leases";
import { expect, test } from "vitest";
import { list, newWorld } from "./temp.ts";

const content: LeaseResource = { type: "content", id: digestOf("a blob") };
const resources: readonly LeaseResource[] = [
  content,
  { type: "image", id: "docker.io/library/debian:12" },
  { type: "ingest", id: "layer-x" },
  { type: "snapshot", snapshotter: "native", id: "a" },
  { type: "snapshot", snapshotter: "overlay", id: "a" },
];

// U-MD.10
test("a lease has the id it was given, or one of its own", async () => {
  await using world = await newWorld();
  const { leases } = world.one;
  const expiresAt = new Date(Date.now() + 60_000);
  const named = await leases.create({ id: "pull-1", labels: { a: "1" }, expiresAt });
  const expiry = { "containerd.io/gc.expire": expiresAt.toISOString() };
  expect(named).toMatchObject({ id: "pull-1", labels: { a: "1", ...expiry }, expiresAt });
  const [one, two] = [await leases.create(), await leases.create()];
  expect(one.id).not.toBe(two.id);
  expect(one.expiresAt).toBeUndefined();
  const listed = await list(leases.list());
  expect(listed).toHaveLength(3);
  expect(listed.find(({ id }) => id === "pull-1")).toEqual(named);
});

// U-MD.10
test("a lease with a used id is refused", async () => {
  await using world = await newWorld();
  const { leases } = world.one;
  await leases.create({ id: "pull-1" });
  await expect(leases.create({ id: "pull-1" })).rejects.toMatchObject({
    code: "ERR_ALREADY_EXISTS",
    message: "lease pull-1: already exists",
  });
});

test("a lease holds what was added, once, until it is removed", async () => {
  await using world = await newWorld();
  const { leases } = world.one;
  const { id } = await leases.create();
  for (const resource of [...resources, ...resources]) await leases.add(id, resource);
  expect(await list(leases.resources(id))).toEqual(resources);
  await leases.remove(id, { type: "snapshot", snapshotter: "native", id: "a" });
  await leases.remove(id, { type: "snapshot", snapshotter: "none", id: "a" });
  expect(await list(leases.resources(id))).toEqual(resources.filter((_, index) => index !== 3));
});

test("what a deleted lease held is not held by the next one of its id", async () => {
  await using world = await newWorld();
  const { leases } = world.one;
  await leases.create({ id: "again" });
  await leases.add("again", content);
  await leases.delete("again");
  await leases.create({ id: "again" });
  expect(await list(leases.resources("again"))).toEqual([]);
});

test("a lease that is not there is not found", async () => {
  await using world = await newWorld();
  const { leases } = world.one;
  const missing = { code: "ERR_NOT_FOUND", message: "lease nope: not found" };
  await expect(leases.delete("nope")).rejects.toMatchObject(missing);
  await expect(leases.add("nope", content)).rejects.toMatchObject(missing);
  await expect(leases.remove("nope", content)).rejects.toMatchObject(missing);
  await expect(list(leases.resources("nope"))).rejects.toMatchObject(missing);
});

// U-MD.10
test("resources of a wrong shape are invalid, of an unknown type not implemented", async () => {
  await using world = await newWorld();
  const { leases } = world.one;
  const { id } = await leases.create();
  const invalid: LeaseResource[] = [
    { type: "content", id: "not a digest" },
    { type: "image", id: "" },
    { type: "snapshot", snapshotter: "", id: "a" },
  ];
  for (const resource of invalid) {
    await expect(leases.add(id, resource)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a newer caller could do
  const unknown = { type: "sandbox", id: "a" } as unknown as LeaseResource;
  await expect(leases.add(id, unknown)).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
  await expect(leases.create({ id: "" })).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  await expect(leases.create({ expiresAt: new Date(Number.NaN) })).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
  });
  expect(await list(leases.resources(id))).toEqual([]);
});

test("digests of leases are plain text", async () => {
  await using world = await newWorld();
  const { leases } = world.one;
  const { id } = await leases.create();
  await leases.add(id, content);
  const [held] = await list(leases.resources(id));
  const digest: Digest = digestOf("a blob");
  expect(held?.id).toBe(digest);
});

// U-GC.1: the label and the option say the same
test("a lease expires when its label says so, by whatever offset", async () => {
  await using world = await newWorld();
  const { leases } = world.one;
  const label = "containerd.io/gc.expire";
  const lease = await leases.create({ id: "a", labels: { [label]: "2030-01-02T03:04:05+02:00" } });
  expect(lease.expiresAt).toEqual(new Date("2030-01-02T01:04:05Z"));
  expect(lease.labels[label]).toBe("2030-01-02T03:04:05+02:00");
  const both = await leases.create({ id: "b", labels: { [label]: "2030-01-02T03:04:05Z" }, expiresAt: new Date(0) });
  expect(both.labels[label]).toBe("1970-01-01T00:00:00.000Z");
  expect(await list(leases.list())).toEqual([lease, both]);
  for (const text of ["", "tomorrow", "2030", "2030-13-02T03:04:05Z", "2030-01-02 03:04:05Z"]) {
    await expect(leases.create({ labels: { [label]: text } })).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  }
});

// C-MD.7
test("leases are filtered by id and labels, and one filter of several is enough", async () => {
  await using world = await newWorld();
  const { leases } = world.one;
  await leases.create({ id: "a", labels: { for: "pull" } });
  await leases.create({ id: "b", labels: { for: "push", "with.dot": "1" } });
  await leases.create({ id: "c" });
  const found = async (...filters: string[]): Promise<string[]> =>
    (await list(leases.list({ filters }))).map(({ id }) => id);
  expect(await found()).toEqual(["a", "b", "c"]);
  expect(await found("id==b")).toEqual(["b"]);
  expect(await found("labels.for")).toEqual(["a", "b"]);
  expect(await found("labels.for==pull", "id==c")).toEqual(["a", "c"]);
  expect(await found('labels."with.dot"==1')).toEqual(["b"]);
  expect(await found("labels.for!=pull,id~=^[ab]")).toEqual(["b"]);
  await expect(found("id=")).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
});

test("leases of different namespaces have nothing to do with each other", async () => {
  await using world = await newWorld();
  const two = world.metadata.namespace("two").leases;
  await world.one.leases.create({ id: "a" });
  await expect(two.add("a", content)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await two.create({ id: "a" });
  await two.add("a", content);
  expect(await list(world.one.leases.resources("a"))).toEqual([]);
  await two.delete("a");
  expect(await list(world.one.leases.list())).toHaveLength(1);
});

test("a lease with more than a page of resources shows all of them", async () => {
  await using world = await newWorld();
  const { leases } = world.one;
  await leases.create({ id: "a" });
  const ids = Array.from({ length: 1203 }, (_, index) => `image-${String(index).padStart(4, "0")}`);
  await Promise.all(ids.map((id) => leases.add("a", { type: "image", id })));
  expect((await list(leases.resources("a"))).map(({ id }) => id)).toEqual(ids);
});

// U-GC.7
test("a lease holds things of the types that are collected together with the store's", async () => {
  const tapes = { type: "tape", all: () => [], active: () => [], remove: async () => {} };
  await using world = await newWorld({ resources: [tapes] });
  const { leases } = world.one;
  await leases.create({ id: "a" });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a type that only its author knows
  const tape = { type: "tape", id: "7" } as unknown as LeaseResource;
  await leases.add("a", tape);
  expect(await list(leases.resources("a"))).toEqual([tape]);
});
