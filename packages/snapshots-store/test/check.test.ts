import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  lutimesSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { commit, open } from "./backend.ts";
import { tempRoot } from "./temp-root.ts";

const isRoot = process.geteuid?.() === 0;

function fill(files: string): void {
  for (const name of ["a", "b", "a/c", "d"]) mkdirSync(join(files, name));
  for (const name of ["file", "a/file", "a/c/file", "b/file", "d/e"]) writeFileSync(join(files, name), name);
  symlinkSync("file", join(files, "link"));
  // After 2262, which 64 bits of nanoseconds do not reach; the most that ext4 has.
  utimesSync(join(files, "b/file"), 15_032_385_535, 15_032_385_535);
  writeFileSync(Buffer.concat([Buffer.from(`${files}/`), Buffer.from([0xff, 0xfe])]), "");
}

/** Each leaves all the times as they are, unless it is about them. */
const changes: Readonly<Record<string, (files: string) => void>> = {
  "the time of a file": (files) => utimesSync(join(files, "a/c/file"), 1, 1),
  "the nanoseconds of a file": (files) => {
    const { mtimeNs } = statSync(join(files, "file"), { bigint: true });
    const next = mtimeNs % 1_000_000_000n === 999_999_999n ? mtimeNs - 1n : mtimeNs + 1n;
    execFileSync("touch", [
      "-d",
      `@${next / 1_000_000_000n}.${String(next % 1_000_000_000n).padStart(9, "0")}`,
      join(files, "file"),
    ]);
  },
  "the time of a link": (files) => lutimesSync(join(files, "link"), 1, 1),
  "the mode of a file": (files) => chmodSync(join(files, "b/file"), 0o4755),
  "the mode of the root": (files) => chmodSync(files, 0o700),
  "the size of a file": (files) =>
    quietly(join(files, "b/file"), () => writeFileSync(join(files, "b/file"), "longer text")),
  "the target of a link": (files) =>
    quietly(files, () => {
      const { atime, mtime } = statSync(join(files, "file"));
      unlinkSync(join(files, "link"));
      symlinkSync("FILE", join(files, "link"));
      lutimesSync(join(files, "link"), atime, mtime);
    }),
  "a file that was removed": (files) => quietly(join(files, "b"), () => unlinkSync(join(files, "b/file"))),
  "a file that was added": (files) => quietly(join(files, "b"), () => writeFileSync(join(files, "b/new"), "")),
  "a file that was renamed": (files) =>
    quietly(join(files, "b"), () => renameSync(join(files, "b/file"), join(files, "b/elif"))),
  "a file that was moved to the next directory": (files) =>
    quietly(join(files, "a"), () =>
      quietly(join(files, "a/c"), () => renameSync(join(files, "a/c/file"), join(files, "a/moved"))),
    ),
  "a file that was moved out of its directory": (files) =>
    quietly(join(files, "d"), () => quietly(files, () => renameSync(join(files, "d/e"), join(files, "e")))),
  "a directory that is a link now": (files) =>
    quietly(files, () => {
      renameSync(join(files, "b"), join(files, "../moved"));
      symlinkSync("../moved", join(files, "b"));
    }),
};

/** Puts the times back that `change` changes. */
function quietly(path: string, change: () => void): void {
  const { atime, mtime } = statSync(path);
  change();
  utimesSync(path, atime, mtime);
}

// F12, G-13
test.each(Object.keys(changes))("a check finds %s in a committed snapshot, once, and nothing else", async (what) => {
  using root = tempRoot();
  await using opened = await open(root.path);
  const { snapshotter } = opened;
  await commit(opened, "other", fill);
  const files = await commit(opened, "name", (path) => {
    fill(path);
    for (const name of ["file", "b/file", "b", "a", "a/c", "d", "."])
      utimesSync(join(path, name), 1_700_000_000, 1_700_000_000);
    lutimesSync(join(path, "link"), 1_700_000_000, 1_700_000_000);
  });
  expect(await Array.fromAsync(snapshotter.check())).toEqual([]);
  changes[what]?.(files);
  expect(await Array.fromAsync(snapshotter.check())).toEqual([
    { name: "name", kind: "changed", message: `snapshot name: directory ${files} is not as it was committed` },
  ]);
});

test.skipIf(!isRoot)("a check finds another owner of a file (needs root)", async () => {
  using root = tempRoot();
  await using opened = await open(root.path);
  const files = await commit(opened, "name", fill);
  chownSync(join(files, "file"), 5, 6);
  expect(await Array.fromAsync(opened.snapshotter.check())).toMatchObject([{ name: "name", kind: "changed" }]);
});

test("a check finds what is missing, or was replaced, of every kind of snapshot", async () => {
  using root = tempRoot();
  await using opened = await open(root.path);
  const { snapshotter, store } = opened;
  for (const name of ["base", "committed", "files"]) await commit(opened, name, fill);
  for (const key of ["active", "well"]) await snapshotter.prepare(key, "base");
  for (const [key, parent] of [
    ["view", undefined],
    ["no-directory", "base"],
  ] as const)
    await snapshotter.view(key, parent);
  const directory = async (name: string): Promise<string> => store.directory((await store.get(name)).id);
  rmSync(await directory("committed"), { recursive: true });
  rmSync(join(await directory("files"), "fs"), { recursive: true });
  symlinkSync("/", join(await directory("files"), "fs"));
  rmSync(await directory("active"), { recursive: true });
  symlinkSync(await directory("base"), await directory("active"));
  rmSync(join(await directory("view"), "fs"), { recursive: true });
  const found = await Array.fromAsync(snapshotter.check());
  expect(found.map(({ name, kind }) => [name, kind])).toEqual([
    ["committed", "missing"],
    ["files", "replaced"],
    ["active", "replaced"],
    ["view", "missing"],
  ]);
  for (const { name, message } of found) expect(message).toContain(await directory(name));
});

test.skipIf(!isRoot)("what was only read, mounted and built upon is as it was (needs root)", async () => {
  using base = tempRoot();
  await using opened = await open(join(base.path, "root"));
  const { snapshotter, files } = opened;
  const lower = await commit(opened, "base", fill);
  await snapshotter.prepare("key", "base");
  const upper = await files("key");
  const merged = join(base.path, "merged");
  mkdirSync(merged);
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${join(upper, "../work")}`;
  execFileSync("mount", ["-t", "overlay", "overlay", "-o", options, merged]);
  try {
    writeFileSync(join(merged, "a/c/file"), "another text");
    renameSync(join(merged, "file"), join(merged, "elif"));
    rmSync(join(merged, "b"), { recursive: true });
    chmodSync(merged, 0o711);
  } finally {
    execFileSync("umount", [merged]);
  }
  await snapshotter.commit("top", "key");
  execFileSync("mount", ["-t", "overlay", "overlay", "-o", `lowerdir=${upper}:${lower}`, merged]);
  try {
    expect(readdirSync(merged)).toContain("elif");
    expect(readFileSync(join(merged, "a/c/file"), "utf8")).toBe("another text");
    expect(await Array.fromAsync(snapshotter.check())).toEqual([]);
  } finally {
    execFileSync("umount", [merged]);
  }
  expect(await Array.fromAsync(snapshotter.check())).toEqual([]);
});

test("what is made and removed while a check goes on is no problem", async () => {
  using root = tempRoot();
  await using opened = await open(root.path);
  const { snapshotter } = opened;
  for (const name of ["first", "removed", "anew"]) await commit(opened, name, fill);
  await snapshotter.prepare("committed", undefined);
  rmSync(join(await opened.files("first"), "file"));
  const found: string[] = [];
  for await (const { name } of snapshotter.check()) {
    found.push(name);
    for (const gone of ["removed", "anew"]) await snapshotter.remove(gone);
    await commit(opened, "anew");
    await snapshotter.commit("name", "committed");
  }
  expect(found).toEqual(["first"]);
});

test("a check can be aborted", async () => {
  using root = tempRoot();
  await using opened = await open(root.path);
  await commit(opened, "name", fill);
  const reason = new Error("enough");
  const check = Array.fromAsync(opened.snapshotter.check({ signal: AbortSignal.abort(reason) }));
  await expect(check).rejects.toBe(reason);
});
