import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { LeaseResource } from "@varve/leases";
import { expect, test } from "vitest";
import { list, openIn, tempDir } from "./temp.ts";

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
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  const expiresAt = new Date(Date.now() + 60_000);
  const named = await metadata.leases.create({ id: "pull-1", labels: { a: "1" }, expiresAt });
  expect(named).toMatchObject({ id: "pull-1", labels: { a: "1" }, expiresAt });
  const [one, two] = [await metadata.leases.create(), await metadata.leases.create()];
  expect(one.id).not.toBe(two.id);
  expect(one.expiresAt).toBeUndefined();
  const listed = await list(metadata.leases.list());
  expect(listed).toHaveLength(3);
  expect(listed.find(({ id }) => id === "pull-1")).toEqual(named);
});

// U-MD.10
test("a lease with a used id is refused", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  await metadata.leases.create({ id: "pull-1" });
  await expect(metadata.leases.create({ id: "pull-1" })).rejects.toMatchObject({
    code: "ERR_ALREADY_EXISTS",
    message: "lease pull-1: already exists",
  });
});

test("a lease holds what was added, once, until it is removed", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  const { id } = await metadata.leases.create();
  for (const resource of [...resources, ...resources]) await metadata.leases.add(id, resource);
  expect(await list(metadata.leases.resources(id))).toEqual(resources);
  await metadata.leases.remove(id, { type: "snapshot", snapshotter: "native", id: "a" });
  await metadata.leases.remove(id, { type: "snapshot", snapshotter: "none", id: "a" });
  expect(await list(metadata.leases.resources(id))).toEqual(resources.filter((_, index) => index !== 3));
});

test("what a deleted lease held is not held by the next one of its id", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  await metadata.leases.create({ id: "again" });
  await metadata.leases.add("again", content);
  await metadata.leases.delete("again");
  await metadata.leases.create({ id: "again" });
  expect(await list(metadata.leases.resources("again"))).toEqual([]);
});

test("a lease that is not there is not found", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  const missing = { code: "ERR_NOT_FOUND", message: "lease nope: not found" };
  await expect(metadata.leases.delete("nope")).rejects.toMatchObject(missing);
  await expect(metadata.leases.add("nope", content)).rejects.toMatchObject(missing);
  await expect(metadata.leases.remove("nope", content)).rejects.toMatchObject(missing);
  await expect(list(metadata.leases.resources("nope"))).rejects.toMatchObject(missing);
});

// U-MD.10
test("resources of a wrong shape are invalid, of an unknown type not implemented", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  const { id } = await metadata.leases.create();
  const invalid: LeaseResource[] = [
    { type: "content", id: "not a digest" },
    { type: "image", id: "" },
    { type: "snapshot", snapshotter: "", id: "a" },
  ];
  for (const resource of invalid) {
    await expect(metadata.leases.add(id, resource)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a newer caller could do
  const unknown = { type: "sandbox", id: "a" } as unknown as LeaseResource;
  await expect(metadata.leases.add(id, unknown)).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
  await expect(metadata.leases.create({ id: "" })).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  await expect(metadata.leases.create({ expiresAt: new Date(Number.NaN) })).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
  });
  expect(await list(metadata.leases.resources(id))).toEqual([]);
});

test("digests of leases are plain text", async () => {
  await using temp = await tempDir();
  await using metadata = await openIn(temp);
  const { id } = await metadata.leases.create();
  await metadata.leases.add(id, content);
  const [held] = await list(metadata.leases.resources(id));
  const digest: Digest = digestOf("a blob");
  expect(held?.id).toBe(digest);
});
