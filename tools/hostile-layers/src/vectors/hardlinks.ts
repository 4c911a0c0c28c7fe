import { char, dir, fifo, file, hardlink, symlink, whiteout } from "../build/entries.ts";
import { bad, layer, type Part } from "../build/layer.ts";
import { aChar, aDir, aFifo, aFile, aLink, type ExpectedNode } from "../tree/expected.ts";
import type { HostileLayers } from "../types.ts";

type Tree = Readonly<Record<string, ExpectedNode>>;

export const gives = (
  name: string,
  about: string,
  layers: readonly (readonly Part[])[],
  tree: Tree,
): HostileLayers => ({
  name: `hardlinks/${name}`,
  about,
  layers: layers.map((parts) => layer(...parts)),
  expect: { tree },
});

/** The last entry is called `h`, and is the one that is refused. */
const refuses = (
  name: string,
  about: string,
  rule: string,
  parts: readonly Buffer[],
  lower?: readonly Buffer[],
): HostileLayers => {
  const last = layer(...parts.slice(0, -1), bad(parts.at(-1) ?? Buffer.alloc(0)));
  return {
    name: `hardlinks/${name}`,
    about,
    layers: lower === undefined ? [last] : [layer(...lower), last],
    expect: { refused: "ERR_INVALID_DATA", rule, entry: "h" },
  };
};

/** Hard links to what is outside, missing, or no file; and what a file over one may change. */
export function hardlinkVectors(outside: string): readonly HostileLayers[] {
  return [...missing(outside), ...wrong(), ...kept(outside), ...followed()];
}

function missing(outside: string): readonly HostileLayers[] {
  const rule = "hardlink-target";
  const up = "../".repeat(30).slice(0, -1);
  return [
    refuses("absolute", "the target is taken from the root of the layer: CVE-2026-23745", rule, [
      hardlink("h", `${outside}/passwd`),
    ]),
    refuses("up", "dots in a target end at the root: CVE-2026-24842", rule, [hardlink("h", `${up}${outside}/passwd`)]),
    refuses("up-from-below", "a target is no relative path: CVE-2024-12905, CVE-2025-48387", rule, [
      dir("a/b"),
      hardlink("h", `a/b/${up}${outside}/passwd`),
    ]),
    refuses("through-link", "a link in the target is followed inside: CVE-2018-20835, CVE-2025-59343", rule, [
      symlink("l", outside),
      hardlink("h", "l/passwd"),
    ]),
    refuses("through-lower-link", "from a lower layer too", rule, [hardlink("h", "l/passwd")], [symlink("l", outside)]),
    refuses("proc", "a link to the file of a descriptor would bring it in", rule, [hardlink("h", "/proc/self/exe")]),
    refuses("nothing", "no file of that name", rule, [hardlink("h", "nothing")]),
    refuses("nothing-below", "no directory of that name either", rule, [hardlink("h", "no/thing")]),
    refuses("later", "targets come first: what follows is another file", rule, [hardlink("h", "later")]),
    refuses(
      "hidden",
      "the lower file is hidden by this layer",
      rule,
      [whiteout("f"), hardlink("h", "f")],
      [file("f", "x")],
    ),
    refuses("in-a-marker", "a whiteout is no file", rule, [whiteout("f"), hardlink("h", ".wh.f")], [file("f", "x")]),
    refuses("through-a-file", "a file is no directory", "path-parent", [file("f", "x"), hardlink("h", "f/x")]),
  ];
}

function wrong(): readonly HostileLayers[] {
  const rule = "hardlink-target";
  return [
    refuses("to-directory", "the kernel makes none", rule, [dir("d"), hardlink("h", "d")]),
    refuses("to-implied-directory", "nor to one that has no entry", rule, [file("d/f"), hardlink("h", "d")]),
    refuses("to-lower-directory", "nor to one of another layer", rule, [hardlink("h", "d")], [dir("d"), file("d/f")]),
    refuses("to-root", "the root is a directory", rule, [hardlink("h", "/")]),
    refuses("to-dots", "and so is what is above it", rule, [hardlink("h", "../..")]),
    refuses("to-empty", "no target at all", rule, [hardlink("h", "")]),
    refuses("to-itself", "replacing a file would remove the target first", rule, [
      file("h", "x"),
      hardlink("h", "./h"),
    ]),
    refuses("to-itself-below", "of a lower layer", rule, [hardlink("h", "h")], [file("h", "x")]),
    refuses("to-its-own-child", "the target is in the directory that the link replaces", rule, [
      dir("h"),
      file("h/f", "x"),
      hardlink("h", "h/f"),
    ]),
    refuses(
      "to-its-own-lower-child",
      "the same with a lower directory",
      rule,
      [hardlink("h", "h/f")],
      [dir("h"), file("h/f", "x")],
    ),
  ];
}

function kept(outside: string): readonly HostileLayers[] {
  return [
    gives(
      "file-over-it",
      "writes a new file, and not the target: CVE-2018-20834",
      [[file("f", "old"), hardlink("h", "f"), file("h", "new")]],
      { f: aFile("old"), h: aFile("new") },
    ),
    gives(
      "empty-file-over-it",
      "opening would empty the target",
      [[file("f", "old"), hardlink("h", "f"), file("h", "")]],
      { f: aFile("old"), h: aFile("") },
    ),
    gives(
      "file-over-target",
      "the link keeps the old file",
      [[file("f", "old"), hardlink("h", "f"), file("f", "new")]],
      { f: aFile("new"), h: aFile("old") },
    ),
    gives(
      "to-link",
      "links the link and not its target (C-TAR.41)",
      [[symlink("l", `${outside}/passwd`), hardlink("h", "l"), file("h", "x")]],
      { l: aLink(`${outside}/passwd`), h: aFile("x") },
    ),
    gives(
      "to-link-with-a-mode",
      "chmod would follow: CVE-2021-32760",
      [[symlink("l", `${outside}/passwd`), hardlink("h", "l", { mode: 0o4777, uid: 5, mtime: 3 })]],
      { l: aLink(`${outside}/passwd`, { uid: 0 }), h: aLink(`${outside}/passwd`, { sameAs: "l" }) },
    ),
    gives(
      "to-link-then-directory",
      "the second name becomes a directory",
      [[symlink("l", outside), hardlink("h", "l"), dir("h", { mode: 0o777 }), file("h/passwd", "x")]],
      { l: aLink(outside), h: aDir({ mode: 0o777 }), "h/passwd": aFile("x") },
    ),
    gives(
      "attributes",
      "a link has none of its own",
      [[file("f", "x", { mode: 0o4755, uid: 5, mtime: 9 }), hardlink("h", "f", { mode: 0o777, uid: 7, mtime: 11 })]],
      { f: aFile("x", { mode: 0o4755, uid: 5, mtime: 9_000_000_000n }), h: aFile("x", { mode: 0o4755, sameAs: "f" }) },
    ),
  ];
}

function followed(): readonly HostileLayers[] {
  return [
    gives(
      "chain",
      "links to links are one file",
      [[file("f", "x"), hardlink("h1", "f"), hardlink("h2", "h1"), hardlink("d/h3", "/h2")]],
      {
        f: aFile("x"),
        h1: aFile("x", { sameAs: "f" }),
        h2: aFile("x", { sameAs: "f" }),
        d: aDir(),
        "d/h3": aFile("x", { sameAs: "f" }),
      },
    ),
    gives(
      "up-to-a-file",
      "dots end at the root, where the file is (C-TAR.20)",
      [[file("etc/f", "x"), hardlink("a/h", "../../../etc/f")]],
      { etc: aDir(), "etc/f": aFile("x"), a: aDir(), "a/h": aFile("x", { sameAs: "etc/f" }) },
    ),
    gives(
      "through-both-links",
      "the names' parents are followed inside",
      [[file("d/f", "x"), symlink("l", "/d"), symlink("m", "../../d"), hardlink("m/h", "l/f")]],
      { d: aDir(), l: aLink("/d"), m: aLink("../../d"), "d/f": aFile("x"), "d/h": aFile("x", { sameAs: "d/f" }) },
    ),
    gives("slash-at-the-end", "cleaned as text", [[file("f", "x"), hardlink("h", "f/")]], {
      f: aFile("x"),
      h: aFile("x", { sameAs: "f" }),
    }),
    gives("to-fifo", "special files have links too", [[fifo("p", { mode: 0o640 }), hardlink("h", "p")]], {
      p: aFifo({ mode: 0o640 }),
      h: aFifo({ sameAs: "p" }),
    }),
    gives("to-device", "devices too", [[char("c", 1, 3), hardlink("h", "c")]], {
      c: aChar("1:3"),
      h: aChar("1:3", { sameAs: "c" }),
    }),
    gives("over-directory", "the tree is gone", [[file("f", "x"), dir("d"), file("d/g"), hardlink("d", "f")]], {
      f: aFile("x"),
      d: aFile("x", { sameAs: "f" }),
    }),
    gives("twice", "the same link again", [[file("f", "x"), hardlink("h", "f"), hardlink("h", "f")]], {
      f: aFile("x"),
      h: aFile("x", { sameAs: "f" }),
    }),
    gives(
      "to-link-whose-target-comes",
      "C-TAR.40",
      [[symlink("l", "/etc/f"), hardlink("h", "l"), file("etc/f", "x")]],
      { l: aLink("/etc/f"), h: aLink("/etc/f", { sameAs: "l" }), etc: aDir(), "etc/f": aFile("x") },
    ),
  ];
}
