import { dir, entry, file, hardlink, symlink, whiteout } from "../build/entries.ts";
import { bad, layer, type Part } from "../build/layer.ts";
import { aDir, aFile, aLink, type ExpectedNode } from "../tree/expected.ts";
import type { HostileLayers } from "../types.ts";

type Tree = Readonly<Record<string, ExpectedNode>>;

export const base: readonly Buffer[] = [
  dir("etc", { mode: 0o751, mtime: 5 }),
  file("etc/passwd", "p"),
  dir("etc/sub"),
  file("etc/sub/f", "f"),
  symlink("link", "/etc"),
  symlink("dead", "/dne"),
  file("x", "x"),
];
export const all: Tree = {
  etc: aDir({ mode: 0o751 }),
  "etc/passwd": aFile("p"),
  "etc/sub": aDir(),
  "etc/sub/f": aFile("f"),
  link: aLink("/etc"),
  dead: aLink("/dne"),
  x: aFile("x"),
};

export const without = (...gone: readonly string[]): Tree =>
  Object.fromEntries(
    Object.entries(all).filter(([path]) => !gone.some((name) => path === name || path.startsWith(`${name}/`))),
  );

export const on = (
  name: string,
  about: string,
  parts: readonly Part[],
  tree: Tree,
  lower: readonly Buffer[] = base,
): HostileLayers => ({
  name: `whiteouts/${name}`,
  about,
  layers: [layer(...lower), layer(...parts)],
  expect: { tree },
});

const refused = (name: string, about: string, path: string): HostileLayers => ({
  name: `whiteouts/${name}`,
  about,
  layers: [layer(...base), layer(bad(path.endsWith("/") ? dir(path) : entry({ name: path })))],
  expect: { refused: "ERR_INVALID_DATA", rule: "whiteout-name", entry: path },
});

/** Markers wherever they may stand; they concern lower layers only (image specification, layer.md, "Whiteouts"). */
export function whiteoutVectors(): readonly HostileLayers[] {
  return [...names(), ...plain(), ...order()];
}

function names(): readonly HostileLayers[] {
  return [
    refused("of-the-roots-parent", "C-TAR.30", ".wh..."),
    refused("of-a-parent", "C-TAR.31", "etc/.wh..."),
    refused("of-the-root", "C-TAR.32", ".wh.."),
    refused("of-its-directory", "C-TAR.33", "etc/.wh.."),
    refused("of-no-name", "nothing follows the prefix", "etc/.wh."),
    refused("of-no-name-in-the-root", "nothing follows the prefix", ".wh."),
    refused("with-slash", "a slash at the end leaves the name as it is", ".wh.../"),
    on("of-three-dots", "three dots are a name like any other", [entry({ name: ".wh...." })], all),
    on(
      "of-a-marker",
      "a whiteout of a whiteout hides a name that no layer can have",
      [entry({ name: ".wh..wh.x" })],
      all,
    ),
    on(
      "aufs-metadata",
      "what aufs kept for itself is in old images; it hides a name that starts with .wh.",
      [dir(".wh..wh.plnk"), file(".wh..wh.aufs")],
      all,
    ),
  ];
}

function plain(): readonly HostileLayers[] {
  return [
    on("of-a-file", "the plain case", [whiteout("x")], without("x")),
    on("of-a-tree", "one marker for all of it", [whiteout("etc")], without("etc")),
    on("of-a-link", "the link and not its target (C-TAR.34)", [whiteout("link")], without("link")),
    on("through-a-link", "in the target (C-TAR.35)", [whiteout("link/passwd")], without("etc/passwd")),
    on("through-a-dead-link", "changes nothing (C-TAR.37)", [whiteout("dead/etc")], all),
    on("goes-up", "cleaned as text (C-TAR.38)", [entry({ name: "dne/../.wh.etc" })], without("etc")),
    on("absolute", "from the root of the layer", [entry({ name: "/.wh.etc" })], without("etc")),
    on("of-nothing", "changes nothing", [whiteout("dne"), whiteout("dne/dne")], all),
    on("below-a-file", "a file has nothing to hide", [whiteout("x/y")], all),
    on("twice", "is once", [whiteout("x"), whiteout("x")], without("x")),
    on("in-the-lowest-layer", "there is nothing below", [whiteout("x"), file("y", "y")], { y: aFile("y") }, []),
    on("of-a-hard-link", "the other name stays", [whiteout("f")], { g: aFile("x") }, [
      file("f", "x"),
      hardlink("g", "f"),
    ]),
    on("then-again-in-a-third-layer", "nothing comes back", [whiteout("etc")], without("etc")),
    {
      name: "whiteouts/third-layer",
      about: "what was hidden does not come back with a new directory of its name",
      layers: [layer(...base), layer(whiteout("etc")), layer(file("etc/new", "n"))],
      expect: { tree: { ...without("etc"), etc: aDir({ mode: 0o755 }), "etc/new": aFile("n") } },
    },
  ];
}

function order(): readonly HostileLayers[] {
  return [
    on("before-the-file", "concerns the lower one", [whiteout("x"), file("x", "new")], { ...all, x: aFile("new") }),
    on(
      "after-the-file",
      "concerns the lower one too: the specification gives markers no order",
      [file("x", "new"), whiteout("x")],
      { ...all, x: aFile("new") },
    ),
    on(
      "after-the-directory",
      "what this layer brought stays",
      [dir("etc", { mode: 0o700 }), file("etc/new", "n"), whiteout("etc")],
      { ...without("etc"), etc: aDir({ mode: 0o700 }), "etc/new": aFile("n") },
    ),
    on(
      "before-the-directory",
      "which does not merge then",
      [whiteout("etc"), dir("etc", { mode: 0o700 }), file("etc/new", "n")],
      { ...without("etc"), etc: aDir({ mode: 0o700 }), "etc/new": aFile("n") },
    ),
    on(
      "after-an-implied-directory",
      "which is new: none of the lower attributes are left",
      [file("etc/sub/new", "n"), whiteout("etc")],
      { ...without("etc"), etc: aDir({ mode: 0o755, uid: 0 }), "etc/sub": aDir(), "etc/sub/new": aFile("n") },
    ),
    on(
      "between-two",
      "a marker between two entries of one directory",
      [file("etc/one", "1"), whiteout("etc"), file("etc/two", "2")],
      { ...without("etc"), etc: aDir(), "etc/one": aFile("1"), "etc/two": aFile("2") },
    ),
    on("of-a-link-that-comes", "the link of this layer stays", [symlink("x", "y"), whiteout("x")], {
      ...all,
      x: aLink("y"),
    }),
  ];
}
