import { execFile, spawnSync } from "node:child_process";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { openClient } from "@varve/client";
import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { main } from "./command.ts";
import type { Outcome } from "./command.ts";
import { testStore } from "./store.ts";
import type { TestStore } from "./store.ts";
import { base, one, top, two } from "./stored-layers.ts";

const isRoot = process.geteuid?.() === 0;
const run = promisify(execFile);

type Snapshotter = "native" | "overlay";

interface Box extends AsyncDisposable {
  readonly store: TestStore;
  /** Where its files are on disk. */
  readonly files: string;
  /** A directory to mount on. */
  readonly target: string;
  readonly snapshot: string;
  layers(...args: readonly string[]): Promise<Outcome>;
}

/** A store with two layers, and a read-write layer on them. */
async function withBox(snapshotter: Snapshotter = "native"): Promise<Box> {
  const store = await testStore();
  const target = `${store.path}/target`;
  await mkdir(target);
  // By hand: each run of the command takes seconds where many do so at once.
  await using client = await openClient({ root: store.path, snapshotter, durability: "none" });
  const layers = await client.layerStore();
  await layers.register(() => streamOf(base));
  await layers.register(() => streamOf(top), { parent: one });
  const { snapshot } = await layers.createRWLayer("box", { parent: two });
  const [mount] = await (await client.snapshotter()).mounts(snapshot);
  return {
    store,
    files: mount?.source ?? "",
    target,
    snapshot,
    layers: (...args) => store.run(["--snapshotter", snapshotter, "layers", ...args]),
    [Symbol.asyncDispose]: async () => {
      await run("umount", ["--lazy", target]).catch(() => undefined);
      await store[Symbol.asyncDispose]();
    },
  };
}

async function* streamOf(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

async function write({ files }: Box): Promise<void> {
  await writeFile(`${files}/etc/new`, "new");
  await rm(`${files}/etc/base`);
}

const done = (stdout: string): Outcome => ({ code: 0, stdout, stderr: "" });
const failed = (code: number, why: string): Outcome => ({ code, stdout: "", stderr: `varve: ${why}\n` });

// S1.40, S1.76, C-LS.1, C-LS.7
test("layers changes tells what was written to a read-write layer, by kind, in names alone, and as JSON", async () => {
  await using box = await withBox();
  await write(box);
  expect(await box.layers("changes", "box")).toEqual(done("M /etc\nD /etc/base\nA /etc/new\n"));
  expect(await box.layers("changes", "box", "-q")).toEqual(done("/etc\n/etc/base\n/etc/new\n"));
  await expect(box.store.json("layers", "changes", "box")).resolves.toEqual({
    changes: [
      { kind: "modified", path: "etc" },
      { kind: "deleted", path: "etc/base" },
      { kind: "added", path: "etc/new" },
    ],
  });
});

// S1.76, C-LS.1
test("what was written to a read-write layer is a tar for layers tar, and a layer for layers commit", async () => {
  await using box = await withBox();
  await write(box);
  const common = ["--root", box.store.path, "--snapshotter", "native"];
  const { stdout: tar } = spawnSync(process.execPath, [main, "layers", "tar", "box", ...common]);
  const out = `${box.store.path}/out.tar`;
  expect(await box.layers("tar", "box", "-o", out)).toEqual(done("box\n"));
  expect((await readFile(out)).equals(tar)).toBe(true);
  const committed = (await box.store.json("layers", "commit", "box")) as { readonly chainId: string };
  expect(committed).toMatchObject({ parent: two, diffId: digestOf(tar), depth: 3, diffSize: 3, size: 2006 });
  // Nothing has changed since: it is the same layer.
  expect(await box.layers("commit", "box")).toEqual(done(`${committed.chainId}\n`));
});

// S1.43, S1.46
test("layers ls has read-write layers after the others, and gc leaves them alone", async () => {
  await using box = await withBox();
  await write(box);
  expect(await box.store.run(["gc"])).toMatchObject({ code: 0 });
  const { stdout } = await box.layers("ls");
  expect(stdout.split("\n").at(-2)).toMatch(new RegExp(`^rw +- +- +box +${two} +-$`));
  expect(await box.layers("ls", "-q")).toEqual(done(`${one}\n${two}\nbox\n`));
  await expect(box.store.json("layers", "ls")).resolves.toMatchObject({
    readWrite: [{ name: "box", parent: two, snapshot: box.snapshot, mountedOn: [] }],
  });
  await expect(readFile(`${box.files}/etc/new`, "utf8")).resolves.toBe("new");
});

// S1.47, S1.48
test("layers rm of a read-write layer takes its files, and nothing of what it stood on", async () => {
  await using box = await withBox();
  await expect(box.store.json("layers", "create", "other", "--parent", two)).resolves.toEqual({
    name: "other",
    parent: two,
    snapshot: expect.stringMatching(/^layers-rw\//),
  });
  expect(await box.layers("create", "alone")).toEqual(done("alone\n"));
  expect(await box.layers("rm", two, "box")).toMatchObject({
    code: 1,
    stdout: "box\n",
    stderr: `varve: layer ${two}: cannot be removed: read-write layer other stands on it\n`,
  });
  await expect(readdir(box.files)).rejects.toMatchObject({ code: "ENOENT" });
  await expect(box.store.json("layers", "rm", one, "other", two, "alone")).resolves.toEqual({
    removed: ["other", "alone", two, one],
  });
});

// S1.47
test("layers rm says so when another process has the read-write layer, and does not take it", async () => {
  await using box = await withBox();
  await using client = await openClient({ root: box.store.path, snapshotter: "native" });
  const layer = await (await client.layerStore()).getRWLayer("box");
  const why = "read-write layer box: cannot be removed: somebody else refers to it";
  expect(await box.layers("rm", "box")).toEqual(failed(1, why));
  await expect(layer.size()).resolves.toBe(0);
});

// S1.41, S1.46
test("what is wrong with a name, a parent or a directory is told by the exit code, in one line", async () => {
  await using box = await withBox();
  const nobody = digestOf("nobody");
  const unknown = "read-write layer nope: not found";
  const refusals: readonly (readonly [readonly string[], number, string])[] = [
    [["create", "box"], 1, "read-write layer box: already exists"],
    [["create", "a:b"], 2, "layers create: a:b: what has a colon is taken for a chain ID"],
    [["create", "new", "--parent", nobody], 3, `layer ${nobody}: not found`],
    [["mount", "nope", box.target], 3, unknown],
    [["rm", "nope"], 3, unknown],
    [["unmount", "box"], 3, "read-write layer box: is mounted nowhere"],
    [["mount", "box", `${box.target}/no`], 3, `mount ${box.target}/no: no such directory: `],
  ];
  const outcomes = refusals.map(async ([args, code, why]) => {
    const outcome = await box.layers(...args);
    expect(outcome).toMatchObject({ code, stdout: "", stderr: expect.stringContaining(`varve: ${why}`) });
    expect(outcome.stderr.trimEnd().split("\n")).toHaveLength(1);
  });
  await Promise.all(outcomes);
  expect(await box.layers("ls", "-q")).toEqual(done(`${one}\n${two}\nbox\n`));
});

test("a read-write layer whose files are gone is told, and can be removed", async () => {
  await using box = await withBox();
  await box.store.run(["snapshots", "rm", box.snapshot]);
  expect(await box.layers("mount", "box", box.target)).toMatchObject({
    code: 3,
    stderr: expect.stringContaining("read-write layer box: its files are gone"),
  });
  expect(await box.layers("rm", "box")).toEqual(done("box\n"));
});

// S1.5, S1.35
test("layers whose snapshots are gone are removed by layers rm, with the read-write layers on them", async () => {
  await using box = await withBox();
  await box.store.run(["snapshots", "rm", box.snapshot, two, one]);
  expect(await box.layers("tar", one, "-o", "-")).toMatchObject({
    code: 5,
    stderr: expect.stringContaining(`layer ${one}: its snapshot is gone`),
  });
  expect(await box.layers("rm", two)).toMatchObject({ code: 1, stderr: expect.stringContaining("box stands on it") });
  expect(await box.layers("rm", one, two, "box")).toEqual(done(`box\n${two}\n${one}\n`));
  expect(await box.layers("ls", "-q")).toEqual(done(""));
  expect(await box.store.run(["layers", "import", "-"], { input: base })).toEqual(done(`${one}\n`));
});

// S1.48, S1.76
test.skipIf(!isRoot).each<Snapshotter>(["native", "overlay"])(
  "a read-write layer of %s stays mounted when the process ends, is not removed then, and is unmounted by another (skipped: only root may mount)",
  async (snapshotter) => {
    await using box = await withBox(snapshotter);
    const { target } = box;
    expect(await box.layers("mount", "box", target)).toEqual(done(`${target}\n`));
    await writeFile(`${target}/etc/new`, "new");
    await expect(readFile(`${target}/etc/base`, "utf8")).resolves.toBe("base".repeat(500));
    const why = `read-write layer box: is mounted on ${target}, unmount that first`;
    expect(await box.layers("rm", "box")).toEqual(failed(1, why));
    await expect(box.store.json("--snapshotter", snapshotter, "layers", "ls")).resolves.toMatchObject({
      readWrite: [{ name: "box", mountedOn: [target] }],
    });
    // What is mounted can be looked at all the same.
    expect(await box.layers("changes", "box", "-q")).toEqual(done("/etc\n/etc/new\n"));
    expect(await box.layers("unmount", "box")).toEqual(done(`${target}\n`));
    await expect(readdir(target)).resolves.toEqual([]);
  },
);

// S1.76
test.skipIf(!isRoot)(
  "a read-write layer is mounted in one place at a time, and varve unmount takes it off, too (skipped: only root may mount)",
  async () => {
    await using box = await withBox();
    const { store, target } = box;
    await expect(store.json("layers", "mount", "box", target)).resolves.toEqual({ name: "box", directory: target });
    await mkdir(`${store.path}/other`);
    const why = `read-write layer box: is mounted on ${target}, unmount that first`;
    expect(await box.layers("mount", "box", `${store.path}/other`)).toEqual(failed(1, why));
    await writeFile(`${target}/new`, "");
    expect(await store.run(["unmount", target])).toEqual(done(""));
    await expect(readdir(box.files)).resolves.toContain("new");
    expect(await box.layers("rm", "box")).toEqual(done("box\n"));
  },
);

test.skipIf(!isRoot)(
  "a read-write layer that a program has mounted is not mounted a second time, nor the other way round (skipped: only root may mount)",
  async () => {
    await using box = await withBox();
    const { store, target } = box;
    await using client = await openClient({ root: store.path, snapshotter: "native" });
    const layer = await (await client.layerStore()).getRWLayer("box");
    const directory = await layer.mount();
    expect((await box.layers("ls")).stdout).toMatch(new RegExp(`^rw .* box +${two}  ${directory}$`, "m"));
    const why = "read-write layer box: is mounted by a process, which has to unmount it first";
    expect(await box.layers("mount", "box", target)).toEqual(failed(1, why));
    await layer.unmount();
    expect(await box.layers("mount", "box", target)).toEqual(done(`${target}\n`));
    expect((await box.layers("ls")).stdout).toMatch(new RegExp(`^rw .* box +${two}  ${target}$`, "m"));
    const elsewhere = {
      code: "ERR_FAILED_PRECONDITION",
      message: `read-write layer box: is mounted on ${target}, unmount that first`,
    };
    await expect(layer.mount()).rejects.toMatchObject(elsewhere);
    await expect(layer.release()).rejects.toMatchObject(elsewhere);
    // The reference is still there, and works.
    expect(await box.layers("unmount", "box", "--lazy")).toEqual(done(`${target}\n`));
    await writeFile(`${await layer.mount()}/new`, "");
    await layer.unmount();
    expect(await layer.release()).toMatchObject([{ chainId: two }, { chainId: one }]);
  },
);
