import { dir, fifo, file, hardlink, opaque, symlink, whiteout } from "../build/entries.ts";
import { bad, layer } from "../build/layer.ts";
import { aDir, aFifo, aFile, aLink, dirsTo, type ExpectedNode } from "../tree/expected.ts";
import type { HostileLayers } from "../types.ts";
import { gives, refuses } from "./symlinks.ts";

/** Links that lead to links, in circles, or were made by another layer. */
export function symlinkChainVectors(outside: string): readonly HostileLayers[] {
  return [...chains(outside), ...belowOtherLayers(outside)];
}

const chain = (count: number): Buffer[] => [
  dir("d"),
  ...Array.from({ length: count }, (_, at) => symlink(`l${at}`, at === 0 ? "d" : `l${at - 1}`)),
];

function chains(outside: string): readonly HostileLayers[] {
  const chained = Object.fromEntries(
    Array.from({ length: 255 }, (_, at) => [`l${at}`, aLink(at === 0 ? "d" : `l${at - 1}`)]),
  );
  const doubling = Array.from({ length: 30 }, (_, at) => symlink(`l${at}`, at === 0 ? "." : `l${at - 1}/l${at - 1}`));
  const exfil = [
    symlink("a/b/c/up", "../.."),
    symlink("a/b/escape", "c/up/../.."),
    bad(hardlink("h", `a/b/escape${outside}/passwd`)),
  ];
  return [
    gives(
      "chain-of-255",
      "as many as containerd follows (U-TAR.13); the kernel stops at 40",
      [[...chain(255), file("l254/f", "x")]],
      { d: aDir(), ...chained, "d/f": aFile("x") },
    ),
    refuses("chain-of-256", "one more", [...chain(256), bad(file("l255/f", "x"))], {
      rule: "path-links",
      entry: "l255/f",
    }),
    refuses(
      "loop",
      "two links that lead to each other",
      [symlink("a", "b"), symlink("b", "a"), bad(file("a/f", "x"))],
      { rule: "path-links", entry: "a/f" },
    ),
    refuses("loop-of-one", "a link to itself", [symlink("a", "a"), bad(file("a/f", "x"))], {
      rule: "path-links",
      entry: "a/f",
    }),
    refuses("loop-that-grows", "each turn leaves more to do", [symlink("a", "a/a/a"), bad(file("a/f", "x"))], {
      rule: "path-links",
      entry: "a/f",
    }),
    refuses("doubling", "2^30 steps in 30 links", [...doubling, bad(file("l29/f", "x"))], {
      rule: "path-links",
      entry: "l29/f",
    }),
    refuses("two-links-and-a-hard-link", "each target is harmless as text: CVE-2026-26960", exfil, {
      rule: "hardlink-target",
      entry: "h",
    }),
    beyondRealpath(outside),
  ];
}

/** A path that realpath cannot finish, so that the check sees another place than the kernel: CVE-2025-4517. */
function beyondRealpath(outside: string): HostileLayers {
  const long = "d".repeat(240);
  const letters = "abcdefghijklmnop".split("");
  const parts: Buffer[] = [];
  const tree: Record<string, ExpectedNode> = { ...dirsTo(outside) };
  let path = "";
  for (const letter of letters) {
    parts.push(dir(path + long), symlink(path + letter, long));
    tree[path + long] = aDir();
    tree[path + letter] = aLink(long);
    path += `${long}/`;
  }
  const last = `${letters.join("/")}/l`;
  const escape = `${last}/../../../..${outside}`;
  parts.push(symlink(last, "../".repeat(16)), symlink("escape", escape), file("escape/passwd", "x"));
  tree[`${path}l`] = aLink("../".repeat(16));
  tree["escape"] = aLink(escape);
  tree[`${outside.slice(1)}/passwd`] = aFile("x");
  return {
    name: "symlinks/beyond-realpath",
    about: "a chain longer than PATH_MAX: CVE-2025-4517, CVE-2025-4330",
    layers: [layer(...parts)],
    expect: { tree },
  };
}

function belowOtherLayers(outside: string): readonly HostileLayers[] {
  const inside = dirsTo(outside);
  const here = outside.slice(1);
  const link = [symlink("l", outside)];
  return [
    gives(
      "lower-link",
      "the link came with another layer: CVE-2014-9356, CVE-2015-3629",
      [link, [file("l/passwd", "x")]],
      { l: aLink(outside), ...inside, [`${here}/passwd`]: aFile("x") },
    ),
    gives("lower-link-and-directory", "the directory hides the link", [link, [dir("l"), file("l/passwd", "x")]], {
      l: aDir(),
      "l/passwd": aFile("x"),
    }),
    gives("lower-link-and-whiteout", "removes the link and nothing behind it (C-TAR.34)", [link, [whiteout("l")]], {}),
    gives("whiteout-through-lower-link", "removes nothing outside", [link, [whiteout("l/passwd")]], {
      l: aLink(outside),
    }),
    gives("opaque-through-lower-link", "empties nothing outside", [link, [opaque("l")]], { l: aLink(outside) }),
    gives("opaque-through-link", "nor from the same layer", [[...link, opaque("l"), whiteout("l/passwd")]], {
      l: aLink(outside),
    }),
    gives(
      "over-lower-directory",
      "what was in it is gone (C-TAR.26)",
      [
        [dir("etc"), dir("l"), file("l/old", "x")],
        [symlink("l", "/etc"), file("l/f", "x")],
      ],
      { etc: aDir(), l: aLink("/etc"), "etc/f": aFile("x") },
    ),
    gives(
      "three-layers",
      "each goes through the link of the one before",
      [[dir("d")], [symlink("l", "../d")], [file("l/f", "x"), symlink("d/up", ".."), file("d/up/g", "y")]],
      { d: aDir(), l: aLink("../d"), "d/f": aFile("x"), "d/up": aLink(".."), g: aFile("y") },
    ),
    gives("lower-fifo-behind-link", "is not opened", [[fifo("p"), symlink("l", "p")], [file("l", "x")]], {
      p: aFifo(),
      l: aFile("x"),
    }),
  ];
}
