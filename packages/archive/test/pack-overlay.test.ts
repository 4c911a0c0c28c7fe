import {
  chmodSync,
  linkSync,
  mkdirSync,
  openSync,
  closeSync,
  renameSync,
  rmSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { listChanges, type Trees } from "@varve/archive";
import { AT_FDCWD, lsetxattr, mknodat, mount, S_IFCHR, umount2, utimensat } from "@varve/syscalls";
import { describe, expect, test } from "vitest";
import { copyTree, linesOf, pack } from "./pack.ts";
import { directory, file, sample } from "./pair.ts";
import { apply, isRoot, Sandbox } from "./sandbox.ts";
import { readTree } from "./tree.ts";

/** A lower tree, and an overlay's upper directory over it with the root's time. */
class Overlay extends Sandbox {
  readonly lower: string = this.directory();
  readonly upper: string = this.directory();

  constructor() {
    super();
    sample(this.lower);
  }

  get trees(): Trees {
    return { lower: this.lower, upper: this.upper, form: "overlay" };
  }

  /** Changes the tree through a mount; the answer is what it then shows. */
  change(work: (merged: string) => void): ReturnType<typeof readTree> {
    const merged = this.overlay([this.lower], this.upper);
    work(merged);
    utimesSync(merged, 1, 1);
    const tree = readTree(merged);
    this.unmount(merged);
    return tree;
  }

  /** The lower tree with the packed layer on it. */
  applied(trees: Trees = this.trees): ReturnType<typeof readTree> {
    const root = this.directory();
    copyTree(this.lower, root);
    apply(pack(trees).layer, root);
    return readTree(root);
  }
}

const changes = (trees: Trees): string[] =>
  [...listChanges(trees)].map(({ kind, path }) => `${kind} ${path.toString("latin1")}`);

const yes = Buffer.from("y");

describe.skipIf(!isRoot)("an overlay's upper directory (needs root)", () => {
  test("tells of a file that was written to, though somebody set its time back", () => {
    using box = new Overlay();
    const time = { mtime: { seconds: 1, nanoseconds: 5 } };
    for (const name of ["f", "d1/f1"]) utimensat(AT_FDCWD, join(box.lower, name), time, 0);
    box.change((merged) => {
      for (const name of ["f", "d1/f1"]) {
        const content = name === "f" ? "y" : "one";
        writeFileSync(join(merged, name), content, { flag: "r+" });
        utimensat(AT_FDCWD, join(merged, name), time, 0);
      }
    });
    expect(linesOf(box.trees)).toEqual(["file f"]);
  });

  test("tells what was added, changed and deleted", () => {
    using box = new Overlay();
    const expected = box.change((merged) => {
      unlinkSync(join(merged, "d1/f1"));
      file(join(merged, "d1/f2"), "changed");
      file(join(merged, "d1/f3"));
      chmodSync(join(merged, "d2"), 0o700);
      rmSync(join(merged, "f"));
      utimesSync(join(merged, "d1"), 1, 1);
    });
    expect(changes(box.trees)).toEqual(["deleted d1/f1", "modified d1/f2", "added d1/f3", "modified d2", "deleted f"]);
    expect(linesOf(box.trees)).toEqual([
      "directory d1/",
      "file d1/.wh.f1",
      "file d1/f2",
      "file d1/f3",
      "directory d2/",
      "file .wh.f",
    ]);
    expect(box.applied()).toEqual(expected);
  });

  test("tells nothing of what was copied up and is as it was", () => {
    using box = new Overlay();
    box.change((merged) => {
      closeSync(openSync(join(merged, "d1/f1"), "r+"));
      closeSync(openSync(join(merged, "f"), "r+"));
    });
    expect(readTree(box.upper).length).toBe(4);
    expect(changes(box.trees)).toEqual([]);
  });

  test("tells of a directory that was made anew what it hides, once", () => {
    using box = new Overlay();
    directory(join(box.lower, "d1/sub"), () => file(join(box.lower, "d1/sub/deep")));
    utimesSync(join(box.lower, "d1"), 1, 1);
    const expected = box.change((merged) => {
      rmSync(join(merged, "d1"), { recursive: true });
      directory(join(merged, "d1"), () => {
        // As it was: but what was there is hidden.
        file(join(merged, "d1/f1"), "one");
        directory(join(merged, "d1/sub"), () => file(join(merged, "d1/sub/other")));
        mkdirSync(join(merged, "d1/new"));
      });
    });
    expect(linesOf(box.trees)).toEqual([
      "directory d1/",
      "file d1/.wh..wh..opq",
      "file d1/f1",
      "directory d1/new/",
      "directory d1/sub/",
      "file d1/sub/other",
    ]);
    expect(changes(box.trees)).toEqual([
      "deleted d1/f2",
      "modified d1/f1",
      "added d1/new",
      "modified d1/sub",
      "deleted d1/sub/deep",
      "added d1/sub/other",
    ]);
    expect(box.applied()).toEqual(expected);
  });

  test("needs no marker where there is nothing to hide, and no whiteout of what is not there", () => {
    using box = new Overlay();
    const opaque = join(box.upper, "new");
    directory(opaque);
    lsetxattr(opaque, "trusted.overlay.opaque", yes, 0);
    mknodat(AT_FDCWD, join(box.upper, "nothing"), S_IFCHR, 0);
    // An empty directory below, and the root, where the kernel takes no such mark.
    directory(join(box.lower, "new"));
    utimesSync(box.lower, 1, 1);
    lsetxattr(join(box.upper, "new"), "user.a", yes, 0);
    lsetxattr(box.upper, "trusted.overlay.opaque", yes, 0);
    utimesSync(box.upper, 1, 1);
    expect(linesOf(box.trees)).toEqual(["directory new/"]);
    expect(linesOf({ ...box.trees, lower: undefined })).toEqual(["directory ./", "directory new/"]);
  });

  test("may have whiteouts that are files, in a directory that says so", () => {
    using box = new Overlay();
    const at = join(box.upper, "d1");
    directory(at, () => {
      for (const name of ["f1", "f2"]) writeFileSync(join(at, name), "");
      lsetxattr(join(at, "f1"), "trusted.overlay.whiteout", yes, 0);
    });
    utimesSync(box.upper, 1, 1);
    expect(linesOf(box.trees)).toEqual(["directory d1/", "file d1/f1", "file d1/f2"]);
    lsetxattr(at, "trusted.overlay.opaque", Buffer.from("x"), 0);
    expect(linesOf(box.trees)).toEqual(["directory d1/", "file d1/.wh.f1", "file d1/f2"]);
  });

  test("may have its marks where users can set them, and they are left out of the layer", () => {
    using box = new Overlay();
    const at = join(box.upper, "d1");
    directory(at, () => {
      file(join(at, "f1"), "new");
      lsetxattr(join(at, "f1"), "user.overlay.origin", yes, 0);
    });
    lsetxattr(at, "user.overlay.opaque", yes, 0);
    utimesSync(box.upper, 1, 1);
    expect(linesOf(box.trees)).toEqual(["directory d1/", "file d1/f1"]);
    const trees = { ...box.trees, userxattr: true };
    expect(linesOf(trees)).toEqual(["directory d1/", "file d1/.wh..wh..opq", "file d1/f1"]);
    expect(box.applied(trees).filter(({ path }) => path.startsWith("d1/"))).toMatchObject([{ xattrs: [] }]);
  });

  test("in which a mark says that more is below is refused, with the advice to walk", () => {
    for (const [name, mark] of [
      ["d1", "redirect"],
      ["f", "metacopy"],
      ["f", "redirect"],
      ["f", "nlink"],
    ] as const) {
      using box = new Overlay();
      if (name === "d1") directory(join(box.upper, name));
      else file(join(box.upper, name));
      lsetxattr(join(box.upper, name), `trusted.overlay.${mark}`, Buffer.from("x"), 0);
      expect(() => pack(box.trees)).toThrowError(
        expect.objectContaining({
          code: "ERR_NOT_IMPLEMENTED",
          message: `tree: entry "${name}": has overlay's attribute "${mark}", so the upper directory does not tell all: walk the mounted trees instead`,
        }),
      );
    }
  });

  test("of a mount with renamed directories is refused", () => {
    using box = new Overlay();
    const [merged, work] = [box.directory(), box.directory()];
    const data = `lowerdir=${box.lower},upperdir=${box.upper},workdir=${work},redirect_dir=on`;
    mount(merged, { source: "overlay", type: "overlay", flags: 0, data });
    try {
      renameSync(join(merged, "d1"), join(merged, "moved"));
      expect(() => pack(box.trees)).toThrowError(/^tree: entry "moved": has overlay's attribute "redirect"/);
      expect(linesOf({ lower: box.lower, upper: merged })).toContain("file moved/f1");
    } finally {
      umount2(merged, 0);
    }
  });

  test("keeps hard links that were made through the mount", () => {
    using box = new Overlay();
    const expected = box.change((merged) => {
      linkSync(join(merged, "d1/f1"), join(merged, "d1/a"));
      linkSync(join(merged, "d1/f1"), join(merged, "d2/z"));
      utimesSync(join(merged, "d1"), 1, 1);
      utimesSync(join(merged, "d2"), 1, 1);
    });
    expect(linesOf(box.trees)).toEqual([
      "directory d1/",
      "file d1/a",
      "hardlink d1/f1 -> d1/a",
      "directory d2/",
      "hardlink d2/z -> d1/a",
    ]);
    expect(box.applied()).toEqual(expected);
  });

  test("tells a file that the kernel took out of its group of hard links", () => {
    using box = new Overlay();
    linkSync(join(box.lower, "f"), join(box.lower, "g"));
    utimesSync(box.lower, 1, 1);
    const expected = box.change((merged) => closeSync(openSync(join(merged, "f"), "r+")));
    expect(linesOf(box.trees)).toEqual(["file f"]);
    expect(box.applied()).toEqual(expected);
  });
});
