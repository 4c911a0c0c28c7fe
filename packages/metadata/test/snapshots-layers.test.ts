import { canPrepareLayers, labelTarget, labelUpperDirectory } from "@varve/snapshots";
import type { LayerPreparer, Snapshotter } from "@varve/snapshots";
import type { Metadata } from "@varve/metadata";
import { CodedError } from "@varve/errors";
import { expect, test } from "vitest";
import { AbleSnapshotter } from "./fake-snapshotter.ts";
import { openOver, sql } from "./snapshot-store.ts";
import { list, tempDir } from "./temp.ts";

type Preparer = Snapshotter & LayerPreparer;

async function open(metadata: Metadata, namespace: string, lease?: string): Promise<Preparer> {
  const whole = metadata.namespace(namespace);
  if (lease !== undefined) await whole.leases.create({ id: lease });
  const snapshotter = await (lease === undefined ? whole : whole.under(lease)).snapshotter("fake");
  if (!canPrepareLayers(snapshotter)) throw new Error("cannot prepare layers");
  return snapshotter;
}

async function held(metadata: Metadata, namespace: string, lease: string): Promise<string[]> {
  return (await list(metadata.namespace(namespace).leases.resources(lease))).map(({ id }) => id);
}

function having(...layers: readonly (readonly [string, "committed" | "staged"])[]): AbleSnapshotter {
  const backend = new AbleSnapshotter();
  for (const [target, state] of layers) backend.layers.set(target, state);
  return backend;
}

// U-MD.13 (b), U-SNX.6
test("a layer that is committed below gets a record under its target and the lease, and no active snapshot", async () => {
  await using temp = await tempDir();
  const backend = having(["a", "committed"], ["b", "committed"]);
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await open(metadata, "default", "mine");
  const labels = { "containerd.io/snapshot/x": "1", mine: "2" };
  expect(await snapshotter.prepareLayer({ key: "k", parent: undefined, target: "a" }, { labels })).toEqual({
    state: "committed",
    name: "a",
  });
  expect(await snapshotter.prepareLayer({ key: "k", parent: "a", target: "b" })).toEqual({
    state: "committed",
    name: "b",
  });
  // Before it is asked for, which would lease it too.
  expect(await held(metadata, "default", "mine")).toEqual(["a", "b"]);
  expect(await snapshotter.stat("a")).toMatchObject({ kind: "committed", labels: { "containerd.io/snapshot/x": "1" } });
  expect(await snapshotter.stat("b")).toMatchObject({ kind: "committed", parent: "a" });
  expect((await list(snapshotter.walk())).map(({ name }) => name)).toEqual(["a", "b"]);
  expect([...backend.entries.keys()]).toEqual(["remote a on ", "remote b on remote a on "]);
});

// U-MD.13 (a)
test("a layer that the namespace has is leased, and nobody is asked below", async () => {
  await using temp = await tempDir();
  const backend = having(["a", "committed"]);
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await open(metadata, "default");
  await snapshotter.prepareLayer({ key: "k", parent: undefined, target: "a" });
  backend.calls.length = 0;
  const leasing = await open(metadata, "default", "mine");
  const answer = await leasing.prepareLayer({ key: "k", parent: undefined, target: "a" });
  expect(answer).toEqual({ state: "committed", name: "a" });
  expect(backend.calls).toEqual([]);
  expect(await held(metadata, "default", "mine")).toEqual(["a"]);
});

test("a layer whose name another has, on another parent, is empty", async () => {
  await using temp = await tempDir();
  const backend = having(["a", "committed"], ["b", "committed"]);
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await open(metadata, "default");
  await snapshotter.prepareLayer({ key: "k", parent: undefined, target: "a" });
  await snapshotter.prepareLayer({ key: "k", parent: undefined, target: "b" });
  const labels = { [labelTarget]: "b", mine: "1" };
  const prepared = await snapshotter.prepareLayer({ key: "k", parent: "a", target: "b" }, { labels });
  expect(prepared).toEqual({ state: "empty", mounts: await snapshotter.mounts("k") });
  expect(await snapshotter.stat("k")).toMatchObject({ kind: "active", parent: "a", labels });
  expect((await snapshotter.stat("b")).parent).toBeUndefined();
  await expect(snapshotter.commit("b", "k")).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
});

// U-SNX.5
test.each(["staged", "empty"] as const)(
  "a layer that is %s is an active snapshot that can be committed",
  async (state) => {
    await using temp = await tempDir();
    const backend = having(...(state === "staged" ? [["a", state] as const] : []));
    await using metadata = await openOver(temp.path, backend);
    const snapshotter = await open(metadata, "default", "mine");
    const labels = { [labelTarget]: "a", mine: "2" };
    const prepared = await snapshotter.prepareLayer({ key: "k", parent: undefined, target: "a" }, { labels });
    expect(prepared).toEqual({ state, mounts: await snapshotter.mounts("k") });
    expect(await snapshotter.stat("k")).toMatchObject({ kind: "active", labels });
    expect(backend.active("default/1/k").labels).toEqual({ [labelTarget]: "a" });
    await snapshotter.commit("a", "k");
    expect(await held(metadata, "default", "mine")).toEqual(["a"]);
  },
);

// U-MD.13 (c), C-MD.4
test.each([
  ["is not there", (backend: AbleSnapshotter) => backend.entries.clear()],
  [
    "is on another parent",
    (backend: AbleSnapshotter) => {
      const info = backend.committed("remote a on ");
      backend.entries.set(info.name, { ...info, parent: "another" });
    },
  ],
  [
    "is not committed",
    (backend: AbleSnapshotter) => {
      for (const [name, info] of backend.entries) backend.entries.set(name, { ...info, kind: "active" });
    },
  ],
])("what the snapshotter below says is committed and %s is not found, and nothing is left", async (_, change) => {
  await using temp = await tempDir();
  const backend = having(["a", "committed"]);
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await open(metadata, "default", "mine");
  const prepareLayer = backend.prepareLayer.bind(backend);
  backend.prepareLayer = async (request, options) => {
    const answer = await prepareLayer(request, options);
    change(backend);
    return answer;
  };
  await expect(snapshotter.prepareLayer({ key: "k", parent: undefined, target: "a" })).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: "snapshot k: target a without a parent: not found",
  });
  expect(await held(metadata, "default", "mine")).toEqual([]);
  expect(sql(temp.path, "SELECT name FROM snapshots")).toEqual([]);
});

test("where the files of a layer are is shown, not recorded", async () => {
  await using temp = await tempDir();
  const backend = having(["a", "committed"]);
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await open(metadata, "default");
  const show = (directory: string): void => {
    for (const [name, info] of backend.entries) {
      backend.entries.set(name, { ...info, labels: { ...info.labels, [labelUpperDirectory]: directory } });
    }
  };
  const prepareLayer = backend.prepareLayer.bind(backend);
  backend.prepareLayer = async (request, options) => {
    const answer = await prepareLayer(request, options);
    show("/here");
    return answer;
  };
  await snapshotter.prepareLayer({ key: "k", parent: undefined, target: "a" }, { labels: { mine: "1" } });
  expect((await snapshotter.stat("a")).labels).toMatchObject({ [labelUpperDirectory]: "/here" });
  expect(sql(temp.path, "SELECT name FROM snapshots WHERE instr(labels, '/here') > 0")).toEqual([]);
});

test("what is collected below before it has a record here is asked for again", async () => {
  await using temp = await tempDir();
  const backend = having(["a", "committed"]);
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await open(metadata, "default", "mine");
  const prepareLayer = backend.prepareLayer.bind(backend);
  backend.prepareLayer = async (request, options) => {
    backend.prepareLayer = prepareLayer;
    const answer = await prepareLayer(request, options);
    await metadata.collect();
    expect(backend.entries.size).toBe(0);
    return answer;
  };
  const prepared = await snapshotter.prepareLayer({ key: "k", parent: undefined, target: "a" });
  expect(prepared).toEqual({ state: "committed", name: "a" });
  expect(await held(metadata, "default", "mine")).toEqual(["a"]);
  expect(await snapshotter.stat("a")).toMatchObject({ kind: "committed" });
});

test("an abort after the snapshotter below has answered leaves no record", async () => {
  await using temp = await tempDir();
  const backend = having(["a", "committed"]);
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await open(metadata, "default", "mine");
  const controller = new AbortController();
  const reason = new Error("enough");
  const prepareLayer = backend.prepareLayer.bind(backend);
  backend.prepareLayer = async (request, options) => {
    const answer = await prepareLayer(request, options);
    controller.abort(reason);
    return answer;
  };
  const request = { key: "k", parent: undefined, target: "a" };
  await expect(snapshotter.prepareLayer(request, { signal: controller.signal })).rejects.toBe(reason);
  expect(sql(temp.path, "SELECT name FROM snapshots")).toEqual([]);
  expect(await held(metadata, "default", "mine")).toEqual([]);
});

// U-MD.13 (c)
test("a parent that was made anew while the layer was asked for is an error", async () => {
  await using temp = await tempDir();
  const backend = having(["a", "committed"], ["b", "committed"]);
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await open(metadata, "default");
  await snapshotter.prepareLayer({ key: "k", parent: undefined, target: "a" });
  backend.before.set("prepareLayer", async () => {
    sql(temp.path, "UPDATE snapshots SET backend_key = 'elsewhere' WHERE name = 'a'");
  });
  await expect(snapshotter.prepareLayer({ key: "k", parent: "a", target: "b" })).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
    message: "snapshot b: its parent has changed meanwhile",
  });
  expect(sql(temp.path, "SELECT name FROM snapshots")).toEqual([{ name: "a" }]);
});

test("of two that ask for one layer at once both get it, and it has one record", async () => {
  await using temp = await tempDir();
  const backend = having(["a", "committed"]);
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await open(metadata, "default");
  const both = Promise.withResolvers<void>();
  let waiting = 0;
  backend.before.set("prepareLayer", () => {
    waiting += 1;
    if (waiting === 2) both.resolve();
    return both.promise;
  });
  const answers = await Promise.all(
    ["k", "l"].map((key) => snapshotter.prepareLayer({ key, parent: undefined, target: "a" })),
  );
  expect(answers).toEqual([
    { state: "committed", name: "a" },
    { state: "committed", name: "a" },
  ]);
  expect(sql(temp.path, "SELECT name FROM snapshots")).toEqual([{ name: "a" }]);
});

test("a layer whose name an active snapshot has is an error that says so", async () => {
  await using temp = await tempDir();
  await using metadata = await openOver(temp.path, having(["a", "committed"]));
  const snapshotter = await open(metadata, "default");
  await snapshotter.prepare("a", undefined);
  await expect(snapshotter.prepareLayer({ key: "k", parent: undefined, target: "a" })).rejects.toMatchObject({
    code: "ERR_ALREADY_EXISTS",
    message: "snapshot a: already exists and is active",
  });
  expect((await list(snapshotter.walk())).map(({ name }) => name)).toEqual(["a"]);
});

// U-MD.13: a snapshotter below that answers as containerd's remote ones do
test("a layer that the snapshotter below says exists is looked for by its label", async () => {
  await using temp = await tempDir();
  const backend = Object.assign(new AbleSnapshotter(), { isRemote: true });
  await using metadata = await openOver(temp.path, backend);
  const labels = { [labelTarget]: "a" };
  const one = await open(metadata, "one");
  await one.prepare("k", undefined, { labels });
  await one.commit("a", "k", { labels });
  const two = await open(metadata, "two", "mine");
  expect(await two.prepareLayer({ key: "k", parent: undefined, target: "a" }, { labels })).toEqual({
    state: "committed",
    name: "a",
  });
  expect(await held(metadata, "two", "mine")).toEqual(["a"]);
});

test.each([
  ["without a key", { key: "", parent: undefined, target: "a" }, "ERR_INVALID_ARGUMENT", "the key is empty"],
  ["without a target", { key: "k", parent: undefined, target: "" }, "ERR_INVALID_ARGUMENT", "its target is empty"],
  ["on nothing", { key: "k", parent: "b", target: "a" }, "ERR_NOT_FOUND", "snapshot b: not found"],
])("a request %s is refused, and nobody is asked below", async (_, request, code, message) => {
  await using temp = await tempDir();
  const backend = new AbleSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await open(metadata, "default");
  await expect(snapshotter.prepareLayer(request)).rejects.toMatchObject({
    code,
    message: expect.stringContaining(message),
  });
  expect(backend.calls).toEqual([]);
});

test("a request that fails below or is aborted leaves nothing, and speaks of the caller's names", async () => {
  await using temp = await tempDir();
  const backend = new AbleSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  const snapshotter = await open(metadata, "default", "mine");
  const request = { key: "k", parent: undefined, target: "a" };
  backend.before.set("prepareLayer", async () => {
    throw new CodedError("ERR_UNAVAILABLE", "snapshot default/1/k: busy");
  });
  await expect(snapshotter.prepareLayer(request)).rejects.toMatchObject({ message: "snapshot k: busy" });
  const controller = new AbortController();
  const reason = new Error("enough");
  backend.before.set("prepareLayer", async () => controller.abort(reason));
  await expect(snapshotter.prepareLayer(request, { signal: controller.signal })).rejects.toBe(reason);
  expect(sql(temp.path, "SELECT name FROM snapshots")).toEqual([]);
  expect(await held(metadata, "default", "mine")).toEqual([]);
});
