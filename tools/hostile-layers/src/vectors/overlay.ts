import { dir, file, opaque, symlink, whiteout } from "../build/entries.ts";
import { layer, type Part } from "../build/layer.ts";
import { aDir, aFile, aLink, type ExpectedNode } from "../tree/expected.ts";
import type { HostileLayers } from "../types.ts";

const gives = (
  name: string,
  about: string,
  tree: Readonly<Record<string, ExpectedNode>>,
  ...layers: readonly (readonly Part[])[]
): HostileLayers => ({
  name: `overlay/${name}`,
  about,
  layers: layers.map((parts) => layer(...parts)),
  expect: { tree },
});

const xattrs = (values: Readonly<Record<string, string>>): { readonly pax: Record<string, string> } => ({
  pax: Object.fromEntries(Object.entries(values).map(([key, value]) => [`SCHILY.xattr.${key}`, value])),
});

const base = [dir("d"), file("d/secret", "s"), file("f", "lower"), dir("e"), file("e/g", "g")];
const all = { d: aDir(), "d/secret": aFile("s"), f: aFile("lower"), e: aDir(), "e/g": aFile("g") };

/** What means something to overlayfs and nothing to a layer: both targets must give the same tree. */
export function overlayVectors(): readonly HostileLayers[] {
  return [...markers("trusted.overlay."), ...markers("user.overlay."), ...names(), ...severalLayers()];
}

function markers(prefix: string): readonly HostileLayers[] {
  const set = (name: string, value: string): { readonly pax: Record<string, string> } =>
    xattrs({ [`${prefix}${name}`]: value });
  const own = prefix.slice(0, prefix.indexOf("."));
  return [
    gives(
      `${own}-opaque`,
      "a directory of the layer merges, whatever its attribute says",
      { ...all, d: aDir({ xattrs: {} }) },
      base,
      [dir("d", set("opaque", "y"))],
    ),
    gives(
      `${own}-redirect`,
      "a directory would show another one of the lower layers",
      { ...all, n: aDir({ xattrs: {} }) },
      base,
      [dir("n", set("redirect", "/d"))],
    ),
    gives(
      `${own}-redirect-up`,
      "or one that is none of the image's: CVE-2023-0386 and its kind",
      { ...all, n: aDir({ xattrs: {} }) },
      base,
      [dir("n", set("redirect", "/../../../../etc"))],
    ),
    gives(
      `${own}-metacopy`,
      "a file would have the content of a lower one",
      { ...all, f: aFile("upper", { xattrs: {} }), n: aFile("", { xattrs: {} }) },
      base,
      [
        file("f", "upper", set("metacopy", "")),
        file("n", "", xattrs({ [`${prefix}metacopy`]: "", [`${prefix}redirect`]: "/d/secret" })),
      ],
    ),
    gives(
      `${own}-whiteout`,
      "an empty file with this attribute hides, in new kernels",
      { ...all, f: aFile("", { xattrs: {} }), d: aDir({ xattrs: {} }) },
      base,
      [dir("d", set("opaque", "x")), file("f", "", set("whiteout", "y"))],
    ),
    gives(
      `${own}-others`,
      "origin, nlink, upper, impure and protattr are overlayfs's own bookkeeping",
      { ...all, d: aDir({ xattrs: {} }), f: aFile("x", { xattrs: {} }) },
      base,
      [
        dir("d", xattrs({ [`${prefix}origin`]: "", [`${prefix}impure`]: "y" })),
        file("f", "x", xattrs({ [`${prefix}nlink`]: "U+9", [`${prefix}upper`]: "x", [`${prefix}protattr`]: "ia" })),
      ],
    ),
    gives(`${own}-escaped`, "nested overlays write them so", { ...all, d: aDir({ xattrs: {} }) }, base, [
      dir("d", set("overlay.opaque", "y")),
    ]),
    gives(
      `${own}-in-the-lowest-layer`,
      "nor may it wait for the layers above",
      { d: aDir({ xattrs: {} }), "d/a": aFile("a"), "d/b": aFile("b") },
      [dir("d", set("opaque", "y")), file("d/a", "a")],
      [file("d/b", "b")],
    ),
  ];
}

function names(): readonly HostileLayers[] {
  const ordinary = ["work", "work/work", "work/index", "index", "merged", "upper", "fs", "#1", ".wh-like"];
  return [
    gives(
      "directory-names",
      "names that snapshotters use beside the tree",
      Object.fromEntries(ordinary.map((name) => [name, aDir()])),
      ordinary.map((name) => dir(name)),
    ),
    gives(
      "colons-and-commas",
      "names that options of a mount cannot hold",
      { "a:b,c=d\\e": aFile("x"), "lowerdir=": aDir(), "lowerdir=/f": aFile("y") },
      [file("a:b,c=d\\e", "x")],
      [file("lowerdir=/f", "y")],
    ),
    gives(
      "nearly-its-attribute",
      "a name that only begins like one of overlayfs is kept",
      { f: aFile("x", { xattrs: { "user.overlayx": "1", "user.overlay": "2" } }) },
      [file("f", "x", xattrs({ "user.overlayx": "1", "user.overlay": "2" }))],
    ),
    gives(
      "link-over-merged-directory",
      "the lower directory does not shine through the link",
      { d: aLink("e"), e: aDir(), "e/g": aFile("g"), f: aFile("lower") },
      base,
      [symlink("d", "e")],
    ),
    gives(
      "directory-over-lower-file",
      "nothing is below what was a file",
      { ...all, f: aDir(), "f/x": aFile("x") },
      base,
      [dir("f"), file("f/x", "x")],
    ),
    gives(
      "directory-over-hidden-directory",
      "two layers later",
      { f: aFile("lower"), e: aDir(), "e/g": aFile("g"), d: aDir(), "d/n": aFile("n") },
      base,
      [whiteout("d")],
      [dir("d")],
      [file("d/n", "n")],
    ),
  ];
}

function severalLayers(): readonly HostileLayers[] {
  return [
    gives(
      "file-and-directory-in-turns",
      "layer by layer",
      { ...all, x: aDir(), "x/2": aFile("2") },
      [...base, dir("x"), file("x/1", "1")],
      [file("x", "f")],
      [file("x", "g")],
      [dir("x"), file("x/2", "2")],
    ),
    gives(
      "opaque-over-opaque",
      "layer by layer",
      { f: aFile("lower"), e: aDir(), "e/g": aFile("g"), d: aDir(), "d/3": aFile("3") },
      base,
      [opaque("d"), file("d/2", "2")],
      [opaque("d"), file("d/3", "3")],
    ),
    gives(
      "root-attributes",
      "of the highest layer that has an entry for it; the others keep them",
      {
        "": aDir({ mode: 0o711, uid: 5, mtime: 9_000_000_000n, xattrs: { "user.a": "b" } }),
        a: aFile(""),
        b: aFile(""),
      },
      [dir("./", { mode: 0o700 }), file("a")],
      [dir("./", { mode: 0o711, uid: 5, mtime: 9, ...xattrs({ "user.a": "b" }) })],
      [file("b")],
    ),
    gives(
      "implied-keeps-lower-attributes",
      "of all layers below",
      {
        d: aDir({ mode: 0o2750, uid: 7, gid: 8, mtime: 5_000_000_001n, xattrs: { "user.a": "b" } }),
        "d/1": aFile(""),
        "d/2": aFile(""),
      },
      [dir("d", { mode: 0o2750, uid: 7, gid: 8, pax: { mtime: "5.000000001", "SCHILY.xattr.user.a": "b" } })],
      [file("d/1")],
      [file("d/2")],
    ),
    gives(
      "implied-of-nothing",
      "mode 755, root, 1970: no time of the pull",
      {
        d: aDir({ mode: 0o755, uid: 0, gid: 0, mtime: 0n }),
        "d/e": aDir({ mode: 0o755, mtime: 0n }),
        "d/e/f": aFile(""),
      },
      [file("d/e/f")],
    ),
  ];
}
