import type { ServiceImpl } from "@connectrpc/connect";
import { connectContainerd } from "@varve/containerd";
import { digestOf } from "@varve/digest";
import type { LeaseManager, LeaseResource } from "@varve/leases";
import { expect, test } from "vitest";
import { Leases } from "../src/gen/containerd/services/leases/v1/leases_pb.js";
import type { Resource } from "../src/gen/containerd/services/leases/v1/leases_pb.js";
import { startFake } from "./fake-containerd.ts";

interface FakeLeases extends AsyncDisposable {
  readonly leases: LeaseManager;
}

async function startLeases(service: Partial<ServiceImpl<typeof Leases>>): Promise<FakeLeases> {
  const fake = await startFake((router) => router.service(Leases, service));
  const containerd = connectContainerd({ address: fake.address });
  return {
    leases: containerd.leases,
    [Symbol.asyncDispose]: async () => {
      await containerd.close();
      await fake[Symbol.asyncDispose]();
    },
  };
}

const resources: readonly (readonly [LeaseResource, { id: string; type: string }])[] = [
  [
    { type: "content", id: digestOf("a") },
    { type: "content", id: digestOf("a") },
  ],
  [
    { type: "ingest", id: "ref" },
    { type: "ingests", id: "ref" },
  ],
  [
    { type: "image", id: "a:1" },
    { type: "images", id: "a:1" },
  ],
  [
    { type: "snapshot", snapshotter: "over/lay", id: "a/b" },
    { type: "snapshots/over/lay", id: "a/b" },
  ],
];

test("what a lease holds has other names there (6.6)", async () => {
  const added: (Resource | undefined)[] = [];
  const removed: (Resource | undefined)[] = [];
  await using fake = await startLeases({
    addResource: ({ resource }) => {
      added.push(resource);
      return {};
    },
    deleteResource: ({ resource }) => {
      removed.push(resource);
      return {};
    },
    // What a later version can hold is left out.
    listResources: () => ({ resources: [...resources.map(([, wire]) => wire), { type: "mounts", id: "m" }] }),
  });
  for (const [resource] of resources) {
    await fake.leases.add("lease", resource);
    await fake.leases.remove("lease", resource);
  }
  const wire = resources.map(([, sent]) => sent);
  expect(added).toMatchObject(wire);
  expect(removed).toMatchObject(wire);
  const held = [];
  for await (const resource of fake.leases.resources("lease")) held.push(resource);
  expect(held).toEqual(resources.map(([ours]) => ours));
});

test("when a lease expires is one of its labels, and the option wins (U-GC)", async () => {
  await using fake = await startLeases({
    create: ({ id, labels }) => ({ lease: { id, labels, createdAt: { seconds: 1n, nanos: 0 } } }),
  });
  const expiresAt = new Date("2030-01-02T03:04:05.678Z");
  const label = "containerd.io/gc.expire";
  expect(await fake.leases.create({ id: "a", labels: { [label]: "2029-01-01T00:00:00Z" }, expiresAt })).toEqual({
    id: "a",
    labels: { [label]: "2030-01-02T03:04:05.678Z" },
    createdAt: new Date(1000),
    expiresAt,
  });
  expect(await fake.leases.create({ id: "b", labels: { [label]: "2029-01-01T01:00:00+01:00" } })).toMatchObject({
    expiresAt: new Date("2029-01-01T00:00:00Z"),
  });
  expect(await fake.leases.create({ id: "c", labels: { a: "b" } })).not.toHaveProperty("expiresAt");
  const never = fake.leases.create({ id: "d", expiresAt: new Date(NaN) });
  await expect(never).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
});

test("a lease without an id gets one of its own", async () => {
  await using fake = await startLeases({ create: ({ id, labels }) => ({ lease: { id, labels } }) });
  const [one, other] = [await fake.leases.create(), await fake.leases.create()];
  expect(one.id).not.toBe(other.id);
  expect(one.id.length).toBeGreaterThan(20);
  await expect(fake.leases.create({ id: "" })).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  await expect(fake.leases.delete("")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

test("leases are filtered here (C-MD.7)", async () => {
  await using fake = await startLeases({ list: () => ({ leases: [{ id: "a", labels: { b: "1" } }, { id: "c" }] }) });
  const listed = [];
  for await (const { id } of fake.leases.list({ filters: ["labels.b==1"] })) listed.push(id);
  expect(listed).toEqual(["a"]);
});
