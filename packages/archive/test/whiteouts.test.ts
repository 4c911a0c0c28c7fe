import { describe, expect, test } from "vitest";
import { applyInPlace, applyMounted, applyStaged, isRoot, Sandbox } from "./sandbox.ts";
import { dir, file, hardlink, type Spec, symlink, tar, whiteout } from "./tar-builder.ts";
import { readTree } from "./tree.ts";

interface Case {
  readonly name: string;
  readonly layers: readonly (readonly Spec[])[];
  /** Paths of the result, directories with a slash. */
  readonly paths: readonly string[];
  /** Layers that an overlay cannot take before the lower ones are there. */
  readonly redone?: number;
}

const base = [
  dir("d", { mode: 0o750, uid: 7, gid: 8, mtime: 1000, pax: { "SCHILY.xattr.user.a": "b" } }),
  file("d/a", "a"),
  dir("d/sub", { mode: 0o711, mtime: 2000 }),
  file("d/sub/f", "lower"),
  file("d/sub/g", "lower"),
  file("x", "x"),
  symlink("d", "link"),
  symlink("nowhere", "dangling"),
];
const basePaths = ["d/", "d/a", "d/sub/", "d/sub/f", "d/sub/g", "dangling", "link", "x"];
const without = (...gone: string[]): string[] =>
  basePaths.filter((path) => !gone.some((prefix) => path.startsWith(prefix)));
const plus = (paths: readonly string[], ...more: string[]): string[] => [...paths, ...more].toSorted();

const cases: readonly Case[] = [
  { name: "a whiteout removes a file", layers: [base, [whiteout(".wh.x")]], paths: without("x") },
  { name: "a whiteout removes a tree", layers: [base, [whiteout(".wh.d")]], paths: without("d/") },
  {
    name: "a whiteout of nothing is nothing",
    layers: [base, [whiteout(".wh.y"), whiteout("e/.wh.y"), whiteout("e/f/.wh..wh..opq")]],
    paths: basePaths,
  },
  { name: "a whiteout in the lowest layer is nothing", layers: [[whiteout(".wh.y"), file("a")]], paths: ["a"] },
  { name: "a whiteout below a file is nothing", layers: [base, [whiteout("x/.wh.y")]], paths: basePaths, redone: 1 },
  // U-TAR.16, U-TAR.17 and the rule that whiteouts concern lower layers only
  {
    name: "a whiteout before a file of its name hides the lower one only",
    layers: [base, [whiteout(".wh.x"), file("x", "new")]],
    paths: basePaths,
  },
  {
    name: "a whiteout after a file of its name hides the lower one only",
    layers: [base, [file("x", "new"), whiteout(".wh.x")]],
    paths: basePaths,
  },
  {
    name: "a directory deleted and made again is empty",
    layers: [base, [whiteout(".wh.d"), dir("d"), file("d/n")]],
    paths: plus(without("d/"), "d/", "d/n"),
  },
  {
    name: "a directory made and then deleted keeps what the layer has",
    layers: [base, [dir("d"), file("d/n"), whiteout(".wh.d")]],
    paths: plus(without("d/"), "d/", "d/n"),
  },
  {
    name: "a directory that is only implied and then deleted keeps what the layer has",
    layers: [base, [file("d/sub/n"), whiteout(".wh.d")]],
    paths: plus(without("d/"), "d/", "d/sub/", "d/sub/n"),
  },
  {
    name: "a deleted directory that is implied again is new",
    layers: [base, [whiteout(".wh.d"), file("d/sub/n")]],
    paths: plus(without("d/"), "d/", "d/sub/", "d/sub/n"),
  },
  {
    name: "an opaque marker removes what lower layers have",
    layers: [base, [whiteout("d/.wh..wh..opq"), file("d/n")]],
    paths: plus(without("d/"), "d/", "d/n"),
  },
  {
    name: "an opaque marker after the children keeps them",
    layers: [base, [dir("d"), file("d/n"), whiteout("d/.wh..wh..opq")]],
    paths: plus(without("d/"), "d/", "d/n"),
  },
  {
    name: "an opaque marker keeps files below directories without an entry",
    layers: [base, [file("d/sub/n"), whiteout("d/.wh..wh..opq")]],
    paths: plus(without("d/"), "d/", "d/sub/", "d/sub/n"),
  },
  {
    name: "an opaque marker alone empties a directory",
    layers: [base, [whiteout("d/sub/.wh..wh..opq")]],
    paths: without("d/sub/f", "d/sub/g"),
  },
  {
    name: "an opaque marker in no directory is nothing",
    layers: [base, [whiteout("e/.wh..wh..opq")]],
    paths: basePaths,
  },
  {
    name: "an opaque marker in the root removes everything",
    layers: [base, [file("n"), file("d/n"), whiteout(".wh..wh..opq"), file("m")]],
    paths: ["d/", "d/n", "m", "n"],
  },
  {
    name: "an opaque marker many times is one",
    layers: [base, [whiteout("d/.wh..wh..opq"), file("d/n"), whiteout("d/.wh..wh..opq")]],
    paths: plus(without("d/"), "d/", "d/n"),
  },
  {
    name: "whiteouts in a directory that is opaque are nothing",
    layers: [base, [whiteout("d/.wh..wh..opq"), whiteout("d/.wh.a"), dir("d/sub"), whiteout("d/sub/.wh.f")]],
    paths: plus(without("d/"), "d/", "d/sub/"),
  },
  // C-TAR.34, C-TAR.35, C-TAR.37
  {
    name: "a whiteout removes a link and not its target",
    layers: [base, [whiteout(".wh.link")]],
    paths: without("link"),
  },
  {
    name: "a whiteout below a link works on the target",
    layers: [base, [whiteout("link/.wh.a")]],
    paths: without("d/a"),
    redone: 1,
  },
  {
    name: "a whiteout below a dangling link is nothing",
    layers: [base, [whiteout("dangling/.wh.a")]],
    paths: basePaths,
    redone: 1,
  },
  // U-TAR.6
  {
    name: "a file over a directory removes the tree",
    layers: [base, [file("d", "file")]],
    paths: plus(without("d/"), "d"),
  },
  { name: "a directory over a directory merges", layers: [base, [dir("d", { mode: 0o700 })]], paths: basePaths },
  {
    name: "a directory over a link replaces it",
    layers: [base, [dir("link"), file("link/n")]],
    paths: plus(without("link"), "link/", "link/n"),
  },
  {
    name: "a directory over a file replaces it",
    layers: [base, [dir("x"), file("x/n")]],
    paths: plus(without("x"), "x/", "x/n"),
  },
  {
    name: "a link over a directory removes the tree",
    layers: [base, [symlink("x", "d")]],
    paths: plus(without("d/"), "d"),
  },
  {
    name: "a directory over a file over a directory is new",
    layers: [base, [file("d"), dir("d"), file("d/n")]],
    paths: plus(without("d/"), "d/", "d/n"),
  },
  {
    name: "a file over a directory of the same layer",
    layers: [base, [dir("e"), file("e/f"), file("e", "file")]],
    paths: plus(basePaths, "e"),
  },
  {
    name: "an entry below a lower link lands in its target",
    layers: [base, [file("link/n")]],
    paths: plus(basePaths, "d/n"),
    redone: 1,
  },
  {
    name: "an entry below a dangling lower link makes the target",
    layers: [base, [file("dangling/n")]],
    paths: plus(basePaths, "nowhere/", "nowhere/n"),
    redone: 1,
  },
  {
    name: "an entry below a link of the layer lands in its lower target",
    layers: [base, [symlink("d/sub", "l"), file("l/n")]],
    paths: plus(basePaths, "d/sub/n", "l"),
  },
  {
    name: "a link through the parent of a lower link",
    layers: [base, [symlink("link/../d/sub", "l"), file("l/n")]],
    paths: plus(basePaths, "d/sub/n", "l"),
    redone: 1,
  },
  {
    name: "a link with dots after a lower directory",
    layers: [base, [symlink("d/sub/../../e", "l"), file("l/n")]],
    paths: plus(basePaths, "e/", "e/n", "l"),
  },
  // hard links
  { name: "a hard link to a lower file", layers: [base, [hardlink("d/a", "h")]], paths: plus(basePaths, "h") },
  {
    name: "hard links to one lower file are one",
    layers: [base, [hardlink("d/a", "h"), hardlink("d/a", "i"), hardlink("h", "j")]],
    paths: plus(basePaths, "h", "i", "j"),
  },
  {
    name: "a hard link to a lower file that is then replaced",
    layers: [base, [hardlink("d/a", "h"), file("d/a", "new")]],
    paths: plus(basePaths, "h"),
  },
  {
    name: "a hard link to a lower file that is then deleted",
    layers: [base, [hardlink("d/a", "h"), whiteout("d/.wh.a")]],
    paths: plus(without("d/a"), "h"),
  },
  {
    name: "a hard link to a lower file whose directory is then opaque",
    layers: [base, [hardlink("d/sub/f", "d/h"), whiteout("d/.wh..wh..opq")]],
    paths: plus(without("d/"), "d/", "d/h"),
  },
  {
    name: "a hard link to a lower file that is then replaced itself",
    layers: [base, [hardlink("d/a", "h"), file("h", "new")]],
    paths: plus(basePaths, "h"),
  },
  {
    name: "a hard link to a lower file over a file of the layer",
    layers: [base, [file("h", "old"), hardlink("d/a", "h")]],
    paths: plus(basePaths, "h"),
  },
  {
    name: "a whiteout in a directory that has its own time",
    layers: [base, [dir("d", { mtime: 9 }), whiteout("d/.wh.a")]],
    paths: without("d/a"),
  },
  {
    name: "a hard link to what only seems to be a directory",
    layers: [base, [file("dangling/n"), hardlink("dangling", "nowhere")]],
    paths: plus(basePaths, "nowhere"),
    redone: 1,
  },
  {
    name: "a directory over a hard link to a lower file",
    layers: [base, [hardlink("d/a", "h"), dir("h"), file("h/n")]],
    paths: plus(basePaths, "h/", "h/n"),
  },
  {
    name: "a hard link to a lower file that is then replaced by another hard link",
    layers: [base, [hardlink("d/a", "h"), hardlink("x", "d/a")]],
    paths: plus(basePaths, "h"),
  },
  {
    name: "a hard link to a lower file whose directory is then replaced by another hard link",
    layers: [base, [hardlink("d/a", "h"), hardlink("x", "d")]],
    paths: plus(without("d/"), "d", "h"),
  },
  {
    name: "two hard links in a circle are the lower file",
    layers: [base, [hardlink("d/a", "h"), hardlink("h", "d/a")]],
    paths: plus(basePaths, "h"),
  },
  { name: "a hard link over a lower directory", layers: [base, [hardlink("x", "d")]], paths: plus(without("d/"), "d") },
  { name: "a hard link to a lower link", layers: [base, [hardlink("dangling", "h")]], paths: plus(basePaths, "h") },
  {
    name: "a hard link through a lower link",
    layers: [base, [hardlink("link/a", "h")]],
    paths: plus(basePaths, "h"),
    redone: 1,
  },
  {
    name: "an entry through a hard link to a lower link",
    layers: [base, [hardlink("link", "h"), file("h/n")]],
    paths: plus(basePaths, "d/n", "h"),
    redone: 1,
  },
  {
    name: "a hard link below a directory without an entry",
    layers: [base, [hardlink("x", "d/sub/h")]],
    paths: plus(basePaths, "d/sub/h"),
  },
  // more layers
  {
    name: "a name comes back in a third layer",
    layers: [base, [whiteout(".wh.d")], [file("d/n")]],
    paths: plus(without("d/"), "d/", "d/n"),
  },
  {
    name: "an opaque directory below another layer",
    layers: [base, [whiteout("d/.wh..wh..opq"), file("d/n")], [file("d/m"), whiteout("d/.wh.n")]],
    paths: plus(without("d/"), "d/", "d/m"),
  },
  {
    name: "a link made in a middle layer is seen by the third",
    layers: [base, [symlink("d", "l")], [file("l/n")]],
    paths: plus(basePaths, "d/n", "l"),
    redone: 1,
  },
  {
    name: "a directory implied twice keeps its attributes",
    layers: [base, [file("d/n")], [file("d/sub/m")]],
    paths: plus(basePaths, "d/n", "d/sub/m"),
  },
];

describe.skipIf(!isRoot)("whiteouts and replaced names, in place and in an overlay (needs root)", () => {
  test.each(cases)("$name", ({ layers, paths, redone = 0 }) => {
    using box = new Sandbox();
    const archives = layers.map((specs) => tar(...specs));
    const inPlace = applyInPlace(box, archives);
    const staged = applyStaged(box, archives);
    const mounted = applyMounted(box, archives);
    // The root is the snapshotter's own directory, and no entry speaks of it.
    const expected = readTree(inPlace, { without: ["root"] });
    expect(expected.map(({ path, type }) => (type === "dir" ? `${path}/` : path)).toSorted()).toEqual(paths);
    expect(readTree(staged.root, { without: ["root"] })).toEqual(expected);
    expect(readTree(mounted, { without: ["root"] })).toEqual(expected);
    expect(staged.redone).toBe(redone);
  });

  test.each([
    ["of the lower layers", [base, [hardlink("d/sub/f", "d")]]],
    ["of the layer itself", [base, [dir("new"), file("new/f"), hardlink("new/f", "new")]]],
    ["that both have", [base, [dir("d"), hardlink("d/a", "d")]]],
  ])("a hard link in the place of the directory that its target is in, %s, is refused", (_whose, layers) => {
    using box = new Sandbox();
    const archives = layers.map((specs) => tar(...specs));
    for (const way of [applyInPlace, applyStaged, applyMounted]) {
      expect(() => way(box, archives)).toThrow(
        expect.objectContaining({
          code: "ERR_INVALID_DATA",
          message: expect.stringContaining("hard link to a file in the directory that it replaces"),
        }),
      );
    }
  });
});
