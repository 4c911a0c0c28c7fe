import { readdir } from "node:fs/promises";
import { openClient } from "@varve/client";
import type { CollectReport, Explanation, StoreUsage } from "@varve/client";
import { expect, test } from "vitest";
import { testStore } from "./store.ts";

const layers = [{ base: "base" }, { top: "top" }];
const nothing = { count: 0, bytes: 0 };

// G-41
test("gc why prints the references from the image to a layer and to its snapshot, one a line", async () => {
  await using store = await testStore();
  const { chainId, layers: pulled, name, target } = await store.pull("app", layers);
  const [bottom] = pulled;
  const { code, stderr, stdout } = await store.run(["gc", "why", bottom?.digest ?? ""]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const [summary, ...steps] = stdout.trimEnd().split("\n");
  expect(summary).toMatch(new RegExp(`^content ${bottom?.digest} is kept by image ${name}$`));
  expect(steps.map((step) => step.trim().split(/ {2,}/).slice(0, 2))).toEqual([
    ["image", name],
    ["content", target.digest],
    ["content", bottom?.digest],
  ]);
  const snapshot = (await store.json("gc", "why", bottom?.chainId ?? "", "--type", "snapshot")) as {
    readonly explanations: readonly Explanation[];
  };
  expect(snapshot.explanations).toHaveLength(1);
  expect(snapshot.explanations[0]).toMatchObject({ kept: true, item: { snapshotter: "native", id: bottom?.chainId } });
  const path = snapshot.explanations[0]?.path.map(({ item }) => item) ?? [];
  expect(path[0]).toMatchObject({ type: "image", id: name });
  expect(path.slice(-2)).toMatchObject([
    { type: "snapshot", id: chainId },
    { type: "snapshot", id: bottom?.chainId },
  ]);
});

test("gc why knows images by both names, leases and ingests, and ends with 3 for what there is not", async () => {
  await using store = await testStore();
  const { name } = await store.pull("app", layers.slice(0, 1));
  await store.run(["images", "tag", name, "debian"]);
  await store.run(["leases", "create", "--id", "mine"]);
  const client = await openClient({ root: store.path, snapshotter: "native" });
  await (await client.content.writer("half")).close();
  await client.close();
  for (const [typed, type, id] of [
    ["debian", "image", "docker.io/library/debian:latest"],
    [name, "image", name],
    ["mine", "lease", "mine"],
    ["half", "ingest", "half"],
  ] as const) {
    await expect(store.json("gc", "why", typed)).resolves.toMatchObject({
      explanations: [{ kept: true, item: { namespace: "default", type, id } }],
    });
  }
  expect(await store.run(["gc", "why", "mine", "--type", "image"])).toMatchObject({
    code: 3,
    stdout: "",
    stderr: "varve: mine: no such image in namespace default\n",
  });
  expect(await store.run(["gc", "why", "mine", "-n", "other"])).toMatchObject({ code: 3 });
});

test("what no image keeps goes, and the store is then as small as an empty one", async () => {
  await using store = await testStore();
  const empty = (await store.json("df")) as StoreUsage;
  expect(empty).toMatchObject({ content: nothing, ingests: nothing, quarantined: nothing, reclaimable: nothing });
  const { name } = await store.pull("app", layers);
  await expect(store.json("gc")).resolves.toMatchObject({ removed: [], failed: [], bytes: 0 });
  const full = (await store.json("df")) as StoreUsage;
  expect(full).toMatchObject({ content: { count: 4 }, snapshots: { native: { count: 2 } }, reclaimable: nothing });
  expect(full.content.bytes).toBeGreaterThan(0);
  await store.run(["images", "rm", name]);
  const dry = (await store.json("gc", "--dry-run")) as CollectReport;
  expect(dry).toMatchObject({ dryRun: true, failed: [] });
  expect(dry.removed.map(({ type }) => type).toSorted()).toEqual([
    ...Array.from({ length: 4 }, () => "content"),
    ...Array.from({ length: 2 }, () => "snapshot"),
  ]);
  await expect(store.json("df")).resolves.toMatchObject({ ...full, reclaimable: { count: 6, bytes: dry.bytes } });
  const table = await store.run(["df"]);
  expect(table.stdout).toMatch(
    /^TYPE +COUNT +SIZE\ncontent +4 .*\n[^]*\nsnapshots \(native\) +2 .*\n[^]*reclaimable by gc +6 /,
  );
  const { code, stdout, stderr } = await store.run(["gc"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const lines = stdout.trimEnd().split("\n");
  expect(lines[0]).toMatch(/^NAMESPACE +TYPE +SIZE +NAME +REASON$/);
  expect(lines).toHaveLength(8);
  expect(lines.at(-1)).toMatch(/^removed 6 things, .*; 0 kept/);
  await expect(store.json("df")).resolves.toMatchObject({ ...empty, snapshots: { native: nothing } });
  await expect(readdir(`${store.path}/content/blobs/sha256`)).resolves.toEqual([]);
});

test("a lease keeps what the image no longer does, and what expired keeps nothing", async () => {
  await using store = await testStore();
  const { name, target } = await store.pull("app", layers.slice(0, 1));
  await store.run(["leases", "create", "--id", "mine"]);
  const client = await openClient({ root: store.path, snapshotter: "native" });
  await client.leases.add("mine", { type: "content", id: target.digest });
  await client.close();
  await store.run(["images", "rm", name]);
  await expect(store.json("leases", "ls")).resolves.toMatchObject({ leases: [{ id: "mine", resources: 1 }] });
  await expect(store.json("gc")).resolves.toMatchObject({ removed: [] });
  await expect(store.json("gc", "why", target.digest)).resolves.toMatchObject({
    explanations: [{ path: [{ item: { type: "lease", id: "mine" } }, { item: { id: target.digest } }] }],
  });
  await store.run(["leases", "rm", "mine"]);
  await store.run(["leases", "create", "--id", "short", "--expires", "1ms"]);
  expect((await store.run(["gc"])).stdout).toMatch(/^default +lease +\S+ B +short +expired/m);
});
