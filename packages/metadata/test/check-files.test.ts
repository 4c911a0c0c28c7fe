import { mkdir, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Metadata } from "@varve/metadata";
import { labelTarget } from "@varve/snapshots";
import { expect, test } from "vitest";
import { index, pull } from "./check-material.ts";
import type { StoredImage } from "./check-material.ts";
import { DiskSnapshotter, fileIn, fillDirectory } from "./disk-snapshotter.ts";
import { AbleSnapshotter, FakeSnapshotter } from "./fake-snapshotter.ts";
import { openOver, sql } from "./snapshot-store.ts";
import { StoredContent } from "./stored-content.ts";
import { tempDir } from "./temp.ts";

interface World extends AsyncDisposable {
  readonly metadata: Metadata<StoredContent>;
  readonly backend: DiskSnapshotter;
  readonly content: StoredContent;
  readonly pull: (name: string, layers: readonly string[], namespace?: string) => Promise<StoredImage>;
  /** The directory of what a namespace calls by this name. */
  readonly directory: (name: Digest | undefined, namespace?: string) => string;
  readonly path: string;
}

async function newWorld(): Promise<World> {
  const temp = await tempDir();
  const backend = new DiskSnapshotter(join(temp.path, "snapshots"));
  const content = new StoredContent();
  const metadata = await openOver(temp.path, backend, content);
  return {
    metadata,
    backend,
    content,
    path: temp.path,
    pull: (name, layers, namespace = "default") => pull(metadata, name, layers, namespace, fillDirectory),
    directory: (name, namespace = "default") => {
      const query = "SELECT backend_key AS key FROM snapshots WHERE name = ? AND namespace = ?";
      const [row] = sql(temp.path, query, name ?? "", namespace);
      return backend.path(row !== null && typeof row === "object" && "key" in row ? String(row.key) : "none");
    },
    [Symbol.asyncDispose]: async () => {
      await metadata.close();
      await temp[Symbol.asyncDispose]();
    },
  };
}

const damages = [
  ["missing", "missing", (directory: string) => rm(directory, { recursive: true })],
  [
    "replaced",
    "damaged",
    async (directory: string) => {
      await rm(directory, { recursive: true });
      await mkdir(`${directory}-elsewhere`);
      await symlink(`${directory}-elsewhere`, directory);
    },
  ],
  ["changed", "damaged", (directory: string) => writeFile(fileIn(directory), "")],
] as const;

// F12, G-13
test.each(damages)(
  "files of a snapshot that are %s are told, with the images that need it",
  async (_, kind, damage) => {
    await using world = await newWorld();
    const image = await world.pull("a", ["one", "two", "three"]);
    await world.pull("b", ["one", "two"]);
    await world.pull("c", ["other"]);
    await damage(world.directory(image.chain[1]));
    for (const contents of [true, false]) {
      expect((await world.metadata.check({ contents })).problems).toEqual([
        {
          kind,
          item: { namespace: "default", type: "snapshot", snapshotter: "fake", id: image.chain[1] },
          message: expect.stringContaining(`snapshot ${image.chain[1]}: `),
          images: ["a", "b"],
        },
      ]);
    }
  },
);

// G-11, F12: the blob is there, so nothing is fetched
test.each(damages)(
  "what is %s is removed with what stands on it, and a new pull unpacks it again",
  async (...given) => {
    const [, , damage] = given;
    await using world = await newWorld();
    const { metadata, content, backend } = world;
    const image = await world.pull("a", ["one", "two", "three"]);
    const other = await world.pull("b", ["one", "four"]);
    const blobs = [...content.blobs.keys()];
    await damage(world.directory(image.chain[1]));
    const { repairs, pullAgain } = await metadata.repair();
    expect(repairs).toMatchObject([{ action: "removed, 1 snapshot removed", done: true }]);
    expect(pullAgain).toEqual(["a"]);
    expect(backend.entries.size).toBe(2);
    expect((await metadata.check()).problems).toEqual([]);
    const again = await world.pull("a", ["one", "two", "three"]);
    expect(again.chain).toEqual(image.chain);
    expect(await readFile(fileIn(world.directory(image.chain[1])), "utf8")).toBe("two");
    expect([...content.blobs.keys()]).toEqual(blobs);
    expect((await metadata.check()).problems).toEqual([]);
    expect(await readFile(fileIn(world.directory(other.chain[1])), "utf8")).toBe("four");
  },
);

// U-MD.12: one snapshotter below for all
test("a snapshotter looks once, whatever the number of namespaces, and each is told of its own", async () => {
  await using world = await newWorld();
  const image = await world.pull("a", ["one"]);
  await world.pull("a", ["one"], "other");
  await world.pull("a", ["two"], "third");
  for (const namespace of ["default", "other"]) await rm(fileIn(world.directory(image.chain[0], namespace)));
  for (const namespace of ["default", "other"])
    await rm(world.directory(image.chain[0], namespace), { recursive: true });
  const { problems } = await world.metadata.check();
  expect(problems.map(({ kind, item }) => [kind, item.namespace])).toEqual([
    ["missing", "default"],
    ["missing", "other"],
  ]);
  expect(world.backend.checks).toBe(1);
  expect((await world.metadata.repair()).pullAgain).toEqual(["a"]);
  // Not again for what is left after the repair.
  expect(world.backend.checks).toBe(2);
  expect(world.backend.entries.size).toBe(1);
});

test("of two that are damaged one above the other both are gone after the first, and the second says so", async () => {
  await using world = await newWorld();
  const image = await world.pull("a", ["one", "two"]);
  for (const name of image.chain) await rm(world.directory(name), { recursive: true });
  const { repairs } = await world.metadata.repair();
  expect(repairs.map(({ action, done }) => [action, done])).toEqual([
    ["removed, 1 snapshot removed", true],
    ["nothing: it is gone", true],
  ]);
});

test("a damaged snapshot that is in use stays, and goes when it is free", async () => {
  await using world = await newWorld();
  const image = await world.pull("a", ["one", "two"]);
  const snapshotter = await world.metadata.namespace("default").snapshotter("fake");
  await snapshotter.view("mount /somewhere", image.chain[1]);
  await writeFile(fileIn(world.directory(image.chain[0])), "");
  expect((await world.metadata.repair()).repairs).toMatchObject([
    {
      action: "2 kept: in use by mount /somewhere",
      done: false,
      error: {
        code: "ERR_FAILED_PRECONDITION",
        message: `snapshot ${image.chain[1]}: is in use by snapshot mount /somewhere: remove that, and repair again`,
      },
    },
  ]);
  expect((await snapshotter.stat(image.chain[0] ?? "")).kind).toBe("committed");
  await snapshotter.remove("mount /somewhere");
  expect((await world.metadata.repair()).pullAgain).toEqual(["a"]);
  expect(world.backend.entries.size).toBe(0);
});

// U-MD.13
test("a damaged snapshot that two namespaces have goes with the last of them", async () => {
  await using world = await newWorld();
  const { backend, metadata } = world;
  backend.isRemote = true;
  const labels = { [labelTarget]: "a" };
  const one = await metadata.namespace("one").snapshotter("fake");
  const two = await metadata.namespace("two").snapshotter("fake");
  await fillDirectory(await one.prepare("key", undefined, { labels }), Buffer.from("layer"));
  await one.commit("a", "key", { labels });
  await expect(two.prepare("key", undefined, { labels })).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
  await two.view("look", "a");
  const [key] = backend.entries.keys();
  await writeFile(fileIn(backend.path(key ?? "")), "");
  expect((await metadata.repair()).repairs.map(({ action, done }) => [action, done])).toEqual([
    ["removed", true],
    ["1 kept: in use by look", false],
  ]);
  await expect(one.stat("a")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  expect((await two.stat("a")).kind).toBe("committed");
  await two.remove("look");
  expect((await metadata.repair()).repairs).toMatchObject([{ action: "removed", done: true }]);
  expect(backend.entries.size).toBe(0);
});

// As the clean-up of snapshotters does
test("active snapshots and views without files are worth nothing, keep nothing, and go", async () => {
  await using world = await newWorld();
  const image = await world.pull("a", ["one"]);
  const snapshotter = await world.metadata.namespace("default").snapshotter("fake");
  const mounts = [
    ...(await snapshotter.prepare("container", image.chain[0])),
    ...(await snapshotter.view("look", image.chain[0])),
  ];
  for (const { source } of mounts) await rm(source, { recursive: true });
  await rm(world.directory(image.chain[0]), { recursive: true });
  const { repairs } = await world.metadata.repair();
  expect(repairs.map(({ action, done }) => [action, done])).toEqual([
    ["removed", true],
    ["removed", true],
    ["removed", true],
  ]);
  expect(world.backend.entries.size).toBe(0);
  expect(sql(world.path, "SELECT name FROM snapshots")).toEqual([]);
});

// G-42
test("a snapshot that cannot be removed is told once and stops nothing else, and the next repair tries again", async () => {
  await using world = await newWorld();
  const image = await world.pull("a", ["one", "two", "three"]);
  const other = await world.pull("b", ["four"]);
  const stuck = world.directory(image.chain[2]);
  for (const name of [image.chain[0], other.chain[0]]) await writeFile(fileIn(world.directory(name)), "");
  const busy = new CodedError("ERR_UNAVAILABLE", "snapshot: is mounted");
  const remove = world.backend.remove.bind(world.backend);
  let tries = 0;
  world.backend.remove = async (name) => {
    if (world.backend.path(name) !== stuck) return remove(name);
    tries += 1;
    throw busy;
  };
  world.backend.calls.length = 0;
  const { repairs, pullAgain } = await world.metadata.repair();
  // What it stands on is not even tried.
  expect(world.backend.calls).toEqual([expect.stringMatching(`^remove default/[0-9]+/${other.chain[0]}$`)]);
  expect(repairs).toMatchObject([
    {
      action: `removed, 2 snapshots removed, snapshotter fake has to remove ${image.chain[2]} later`,
      done: false,
      error: busy,
    },
    { action: "removed", done: true },
  ]);
  expect(tries).toBe(1);
  expect(pullAgain).toEqual(["a", "b"]);
  // The names are free, so that the images can be had again at once.
  await world.pull("a", ["one", "two", "three"]);
  await world.pull("b", ["four"]);
  expect(await readFile(fileIn(world.directory(image.chain[0])), "utf8")).toBe("one");
  world.backend.remove = remove;
  await world.metadata.repair();
  expect((await world.metadata.check()).problems).toEqual([]);
  expect(await readdir(join(world.path, "snapshots"))).toHaveLength(4);
});

test("a snapshotter that finds out that it cannot look is as one that cannot", async () => {
  await using temp = await tempDir();
  const backend = new AbleSnapshotter();
  await using metadata = await openOver(temp.path, backend);
  await pull(metadata, "a", ["one"]);
  let error: Error = new CodedError("ERR_NOT_IMPLEMENTED", "snapshotter: cannot look");
  backend.check = () => {
    throw error;
  };
  expect((await metadata.check()).problems).toEqual([]);
  error = Object.assign(new Error("i/o error"), { code: "EIO" });
  await expect(metadata.check()).rejects.toBe(error);
});

// U-MD.13, U-SNX.5
test("an image lacks no layer that its snapshotter brings without a blob", async () => {
  for (const backend of [new AbleSnapshotter(), new FakeSnapshotter()]) {
    const isAble = backend instanceof AbleSnapshotter;
    await using temp = await tempDir();
    const content = new StoredContent();
    await using metadata = await openOver(temp.path, backend, content);
    const image = await pull(metadata, "a", ["one", "two", "one"]);
    const namespace = metadata.namespace("default");
    await index(namespace, "index", [image.target]);
    for (const layer of new Set(image.layers)) {
      await namespace.content.delete(layer);
      content.blobs.delete(layer);
    }
    const { problems } = await metadata.check();
    expect(problems.map(({ item }) => item.id)).toEqual(isAble ? [] : ["a", "index"]);
    if (!isAble) continue;
    // One that it has not everywhere is needed.
    const top = [...backend.entries.keys()].find((key) => key.endsWith(image.chain[2] ?? ""));
    backend.entries.delete(top ?? "");
    expect((await metadata.check()).problems).toMatchObject([
      { kind: "missing", item: { id: image.chain[2] } },
      { kind: "incomplete", message: `image a: misses ${image.layers[0]}` },
      { kind: "incomplete", item: { id: "index" } },
    ]);
  }
});
