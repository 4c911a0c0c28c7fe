import { dir, file, hardlink, symlink } from "../build/entries.ts";
import { bad, layer, type Part } from "../build/layer.ts";
import { aDir, aFile, aLink, type ExpectedNode, latin1 } from "../tree/expected.ts";
import type { HostileLayers } from "../types.ts";

type Tree = Readonly<Record<string, ExpectedNode>>;

const gives = (name: string, about: string, tree: Tree, ...layers: readonly (readonly Part[])[]): HostileLayers => ({
  name: `collisions/${name}`,
  about,
  layers: layers.map((parts) => layer(...parts)),
  expect: { tree },
});

const distinct = (name: string, about: string, ...names: readonly string[]): HostileLayers =>
  gives(
    `distinct-${name}`,
    about,
    Object.fromEntries(names.map((each) => [latin1(each), aFile(each.length.toString())])),
    names.map((each) => file(each, each.length.toString())),
  );

/** One path several times, in other spellings too, and names that only seem to be the same. */
export function collisionVectors(): readonly HostileLayers[] {
  return [...same(), ...similar()];
}

function same(): readonly HostileLayers[] {
  return [
    gives(
      "file-twice",
      "the last counts, with all of its attributes (U-TAR.6)",
      { f: aFile("two", { mode: 0o600, uid: 0, mtime: 9_000_000_000n }) },
      [file("f", "one one", { mode: 0o4755, uid: 7 }), file("f", "two", { mode: 0o600, mtime: 9 })],
    ),
    gives("file-in-all-spellings", "cleaned names are the same", { a: aDir(), "a/f": aFile("6") }, [
      file("a/f", "1"),
      file("./a/f", "2"),
      file("/a/f", "3"),
      file("a//f", "4"),
      file("a/b/../f", "5"),
      file("a/./f", "6"),
    ]),
    gives("file-through-a-link", "the same place by another way", { d: aDir(), l: aLink("d"), "d/f": aFile("two") }, [
      dir("d"),
      symlink("l", "d"),
      file("d/f", "one"),
      file("l/f", "two"),
    ]),
    gives(
      "directory-twice",
      "the last counts, and the files stay",
      { d: aDir({ mode: 0o700, uid: 0, mtime: 9_000_000_000n }), "d/f": aFile("x") },
      [dir("d", { mode: 0o755, uid: 7 }), file("d/f", "x"), dir("d", { mode: 0o700, mtime: 9 })],
    ),
    gives(
      "directory-after-its-files",
      "attributes that come late",
      { d: aDir({ mode: 0o700, mtime: 5_000_000_000n }), "d/e": aDir({ mode: 0o711 }), "d/e/f": aFile("x") },
      [file("d/e/f", "x"), dir("d/e", { mode: 0o711 }), dir("d", { mode: 0o700, mtime: 5 })],
    ),
    gives(
      "in-every-layer",
      "the highest counts",
      { f: aFile("3") },
      [file("f", "1")],
      [file("f", "2")],
      [file("f", "3")],
    ),
    gives(
      "empty-over-full",
      "nothing of the old content is left",
      { f: aFile("") },
      [file("f", "x".repeat(10_000))],
      [file("f", "")],
    ),
    gives("link-and-file-in-turns", "a hundred times", { f: aFile("last") }, [
      ...Array.from({ length: 100 }, () => [
        file("f", "x"),
        symlink("f", "/etc/passwd"),
        dir("f"),
        file("f/g", "y"),
      ]).flat(),
      file("f", "last"),
    ]),
    gives(
      "hard-link-over-its-group",
      "a name that is linked again to the same file",
      { a: aFile("x"), b: aFile("x", { sameAs: "a" }), c: aFile("x", { sameAs: "a" }) },
      [file("a", "x"), hardlink("b", "a"), hardlink("c", "b"), hardlink("b", "c")],
    ),
  ];
}

function similar(): readonly HostileLayers[] {
  return [
    distinct(
      "case",
      "upper and lower case: CVE-2021-37701 on filesystems that fold it",
      "readme",
      "README1",
      "ReadMe22",
    ),
    distinct("unicode", "two normal forms: CVE-2021-37712", "caf\u00e9", "cafe\u0301"),
    distinct("sharp-s", "what folding makes equal: CVE-2026-23950", "stra\u00dfe", "strasse1"),
    distinct("look-alikes", "Kelvin's sign, a dotless i, zero width", "\u212a", "k1", "\u0131i22", "a\u200b333"),
    distinct("blanks", "at the end and at the start", "f", "f ", " f2", "f..2"),
    {
      name: "collisions/file-below-a-file",
      about: "a file is no directory, and is not replaced by an implied one",
      layers: [layer(file("f", "x"), bad(file("f/g", "y")))],
      expect: { refused: "ERR_INVALID_DATA", rule: "path-parent", entry: "f/g" },
    },
    {
      name: "collisions/file-below-a-lower-file",
      about: "of another layer",
      layers: [layer(file("f", "x")), layer(bad(file("f/g", "y")))],
      expect: { refused: "ERR_INVALID_DATA", rule: "path-parent", entry: "f/g" },
    },
  ];
}
