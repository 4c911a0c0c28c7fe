import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { commit, makeFiles, open } from "./backend.ts";
import { tempRoot } from "./temp-root.ts";

const isRoot = process.geteuid?.() === 0;

/** What stands in a root apart from the database. */
function directories(root: string): string[] {
  return readdirSync(root).filter((name) => !name.startsWith("metadata.db"));
}

// K09, K15: after a power cut a record may be there without the directory that was made with it
test.each(["open", "cleanup"])(
  "%s removes active snapshots and views whose directory is gone, and no others",
  async (how) => {
    using root = tempRoot();
    await using opened = await open(root.path);
    const { snapshotter, store } = opened;
    await commit(opened, "base");
    await commit(opened, "damaged", undefined, "base");
    for (const key of ["lost", "no-files", "there"]) await snapshotter.prepare(key, "base");
    await snapshotter.view("lost-view", undefined);
    await snapshotter.view("view", "base");
    for (const name of ["damaged", "lost", "lost-view"]) {
      rmSync(store.directory((await store.get(name)).id), { recursive: true });
    }
    rmSync(await opened.files("no-files"), { recursive: true });
    if (how === "cleanup") await snapshotter.cleanup();
    await using again = await open(root.path);
    const names = (await Array.fromAsync(again.snapshotter.walk())).map(({ name }) => name);
    expect(names).toEqual(["base", "damaged", "there", "view"]);
    await again.snapshotter.prepare("lost", "base");
  },
);

test("a snapshot whose directory is only being made is none whose directory is gone", async () => {
  using root = tempRoot();
  await using other = await open(root.path);
  let cleanups = 0;
  const build = async (directory: string): Promise<void> => {
    await makeFiles(directory);
    await other.snapshotter.cleanup();
    cleanups += 1;
  };
  await using opened = await open(root.path, { own: () => ({ builder: () => build }) });
  const cleaning = Promise.all(Array.from({ length: 20 }, () => other.snapshotter.cleanup()));
  await Promise.all(Array.from({ length: 20 }, (_, index) => opened.snapshotter.prepare(`key-${index}`, undefined)));
  await cleaning;
  expect(cleanups).toBe(20);
  expect((await Array.fromAsync(opened.snapshotter.walk())).length).toBe(20);
  expect(directories(root.path).length).toBe(20);
});

type Damage = (directory: string, elsewhere: string) => void;
const damages: Readonly<Record<string, Damage>> = {
  "no directory": (directory) => rmSync(directory, { recursive: true }),
  "no files": (directory) => rmSync(join(directory, "fs"), { recursive: true }),
  "a link for a directory": (directory, elsewhere) => {
    rmSync(directory, { recursive: true });
    symlinkSync(elsewhere, directory);
  },
  "a link for the files": (directory, elsewhere) => {
    rmSync(join(directory, "fs"), { recursive: true });
    symlinkSync(join(elsewhere, "fs"), join(directory, "fs"));
  },
  "a file for a directory": (directory) => {
    rmSync(directory, { recursive: true });
    writeFileSync(directory, "");
  },
};

// F12, K21
test.each(Object.keys(damages))("with %s a snapshot is damaged, is not committed, and can be removed", async (how) => {
  using base = tempRoot();
  await using opened = await open(join(base.path, "root"));
  const { snapshotter, store } = opened;
  const canary = join(base.path, "canary");
  mkdirSync(join(canary, "fs/empty"), { recursive: true });
  mkdirSync(join(canary, "work"));
  writeFileSync(join(canary, "fs/file"), "some text");
  await commit(opened, "base");
  for (const key of ["key", "on-damaged"]) await snapshotter.prepare(key, "base");
  const directory = store.directory((await store.get("key")).id);
  damages[how]?.(directory, canary);
  const before = await snapshotter.stat("key");
  const refused = { code: "ERR_DATA_LOSS", message: expect.stringContaining(directory) };
  await expect(snapshotter.commit("name", "key")).rejects.toMatchObject(refused);
  await expect(snapshotter.usage("key")).rejects.toMatchObject(refused);
  await expect(snapshotter.mounts("key")).rejects.toMatchObject(refused);
  expect(await snapshotter.stat("key")).toEqual(before);
  await expect(snapshotter.stat("name")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await snapshotter.remove("key");
  // The same of a layer: nothing is mounted on what is not there, or is somewhere else.
  const layer = store.directory((await store.get("base")).id);
  damages[how]?.(layer, canary);
  const below = { code: "ERR_DATA_LOSS", message: expect.stringContaining(layer) };
  await expect(snapshotter.prepare("more", "base")).rejects.toMatchObject(below);
  await expect(snapshotter.view("more", "base")).rejects.toMatchObject(below);
  await expect(snapshotter.mounts("on-damaged")).rejects.toMatchObject(below);
  await snapshotter.remove("on-damaged");
  await snapshotter.remove("base");
  await snapshotter.cleanup();
  expect(directories(store.root)).toEqual([]);
  expect(readFileSync(join(canary, "fs/file"), "utf8")).toBe("some text");
  expect(existsSync(join(canary, "fs/empty"))).toBe(true);
});

// U-OVL.8
test("a removal that was put off leaves the files to a cleanup, or the next open", async () => {
  using root = tempRoot();
  for (const how of ["cleanup", "open"]) {
    await using opened = await open(root.path, { removal: "later" });
    const { snapshotter } = opened;
    await commit(opened, "name", (files) => writeFileSync(join(files, "file"), ""));
    await snapshotter.remove("name");
    await expect(snapshotter.stat("name")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
    expect(directories(root.path).length).toBe(1);
    if (how === "cleanup") await snapshotter.cleanup();
    else await (await open(root.path))[Symbol.asyncDispose]();
    expect(directories(root.path)).toEqual([]);
  }
});

// G-42
test.skipIf(!isRoot)("what cannot be removed does not keep a cleanup from the rest (needs root)", async () => {
  using root = tempRoot();
  await using opened = await open(root.path);
  for (const name of ["7", "8", "9"]) {
    mkdirSync(join(root.path, name, "fs"), { recursive: true });
    writeFileSync(join(root.path, name, "fs/file"), "");
  }
  execFileSync("mount", ["-t", "tmpfs", "varve-test", join(root.path, "8")]);
  try {
    mkdirSync(join(root.path, "8/fs"));
    for (let round = 0; round < 2; round += 1) {
      await expect(opened.snapshotter.cleanup()).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
      expect(directories(root.path)).toEqual(["8"]);
      expect(existsSync(join(root.path, "8/fs"))).toBe(true);
    }
  } finally {
    execFileSync("umount", [join(root.path, "8")]);
  }
  await opened.snapshotter.cleanup();
  expect(directories(root.path)).toEqual([]);
});

function write(files: string): void {
  for (const round of [0, 1, 2]) writeFileSync(join(files, `file-${round}`), "some text");
}

// C04
test.skipIf(!isRoot)("the files of a removed snapshot stay while they are mounted somewhere (needs root)", async () => {
  using base = tempRoot();
  await using opened = await open(join(base.path, "root"));
  const { snapshotter, store } = opened;
  const lower = await commit(opened, "base", write);
  const bound = await commit(opened, "bound", write);
  const [overlay, bind] = [join(base.path, "overlay"), join(base.path, "bind")];
  for (const name of ["overlay", "bind", "upper", "work"]) mkdirSync(join(base.path, name));
  const layers = `lowerdir=${lower},upperdir=${join(base.path, "upper")},workdir=${join(base.path, "work")}`;
  execFileSync("mount", ["-t", "overlay", "overlay", "-o", layers, overlay]);
  execFileSync("mount", ["--bind", bound, bind]);
  try {
    for (const name of ["base", "bound"]) await snapshotter.remove(name);
    for (let round = 0; round < 3; round += 1) {
      // Another file each time: what was read once stays readable even if it is removed.
      for (const path of [overlay, bind]) expect(readFileSync(join(path, `file-${round}`), "utf8")).toBe("some text");
      await expect(snapshotter.cleanup()).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
    }
  } finally {
    execFileSync("umount", [overlay, bind]);
  }
  await snapshotter.cleanup();
  expect(directories(store.root)).toEqual([]);
});

test("a store whose root was swapped for another directory forgets nobody", async () => {
  using base = tempRoot();
  const root = join(base.path, "root");
  await using opened = await open(root);
  await opened.snapshotter.prepare("key", undefined);
  renameSync(root, join(base.path, "aside"));
  mkdirSync(root);
  await expect(opened.snapshotter.cleanup()).rejects.toMatchObject({ code: "ERR_DATA_LOSS" });
  rmSync(root, { recursive: true });
  renameSync(join(base.path, "aside"), root);
  expect((await opened.snapshotter.stat("key")).kind).toBe("active");
});
