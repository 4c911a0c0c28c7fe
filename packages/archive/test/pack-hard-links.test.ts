import { chmodSync, linkSync, unlinkSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { lsetxattr } from "@varve/syscalls";
import { describe, expect, test } from "vitest";
import { copyTree, entriesOf, linesOf, pack } from "./pack.ts";
import { directory, file, Pair, quietly } from "./pair.ts";
import { apply, Sandbox } from "./sandbox.ts";
import { readTree } from "./tree.ts";

/** A tree with two files of two names each. */
function linked(root: string): void {
  directory(join(root, "d"), () => {
    file(join(root, "d/f1"), "one");
    linkSync(join(root, "d/f1"), join(root, "d/f2"));
  });
  directory(join(root, "e"));
  file(join(root, "keep"));
  linkSync(join(root, "keep"), join(root, "keep2"));
  utimesSync(root, 1, 1);
}

describe("hard links", () => {
  test("are files and links to the first name", () => {
    using trees = new Pair(linked);
    expect(linesOf({ upper: trees.upper })).toEqual([
      "directory ./",
      "directory d/",
      "file d/f1",
      "hardlink d/f2 -> d/f1",
      "directory e/",
      "file keep",
      "hardlink keep2 -> keep",
    ]);
  });

  // C-TAR.54
  test("to an old file: the new name has the content, the old ones and their parents follow as links", () => {
    using trees = new Pair(linked);
    quietly(join(trees.upper, "e"), () => linkSync(join(trees.upper, "d/f1"), join(trees.upper, "e/f")));
    expect(trees.lines()).toEqual([
      "directory e/",
      "file e/f",
      "directory d/",
      "hardlink d/f1 -> e/f",
      "hardlink d/f2 -> e/f",
    ]);
  });

  // C-TAR.56
  test("to an old file in a directory that changed itself: it is not told twice", () => {
    using trees = new Pair(linked);
    chmodSync(join(trees.upper, "d"), 0o700);
    quietly(join(trees.upper, "e"), () => linkSync(join(trees.upper, "d/f1"), join(trees.upper, "e/f")));
    expect(trees.lines()).toEqual([
      "directory d/",
      "directory e/",
      "file e/f",
      "hardlink d/f1 -> e/f",
      "hardlink d/f2 -> e/f",
    ]);
  });

  // C-TAR.54
  test("that were only removed are whiteouts", () => {
    using trees = new Pair(linked);
    quietly(join(trees.upper, "d"), () => unlinkSync(join(trees.upper, "d/f1")));
    expect(trees.lines()).toEqual(["directory d/", "file d/.wh.f1"]);
  });

  test("that were taken apart are told, though nothing else changed", () => {
    using trees = new Pair(linked);
    quietly(trees.upper, () => {
      unlinkSync(join(trees.upper, "keep2"));
      file(join(trees.upper, "keep2"));
    });
    expect(trees.lines()).toEqual(["file keep2"]);
    using box = new Sandbox();
    const applied = box.directory();
    copyTree(trees.lower, applied);
    apply(pack(trees).layer, applied);
    expect(readTree(applied)).toEqual(readTree(trees.upper));
  });

  test("that were put together are told, though nothing else changed", () => {
    using trees = new Pair((root) => {
      file(join(root, "a"));
      file(join(root, "b"));
      utimesSync(root, 1, 1);
    });
    quietly(trees.upper, () => {
      unlinkSync(join(trees.upper, "b"));
      linkSync(join(trees.upper, "a"), join(trees.upper, "b"));
    });
    expect(trees.lines()).toEqual(["file b", "hardlink a -> b"]);
  });

  test("have the attributes of the file, for tools that set them again", () => {
    using trees = new Pair(linked);
    lsetxattr(join(trees.upper, "d/f1"), "user.a", Buffer.from("1"), 0);
    chmodSync(join(trees.upper, "d/f1"), 0o600);
    const [, first, second] = entriesOf(trees);
    expect(second).toMatchObject({ type: "hardlink", mode: 0o600, mtime: first?.mtime, xattrs: first?.xattrs });
  });
});
