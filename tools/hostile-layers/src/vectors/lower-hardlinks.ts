import { dir, file, hardlink, symlink, whiteout } from "../build/entries.ts";
import { aDir, aFile, aLink, type ExpectedNode } from "../tree/expected.ts";
import type { HostileLayers } from "../types.ts";
import { gives } from "./hardlinks.ts";

type Tree = Readonly<Record<string, ExpectedNode>>;

/** Hard links to files of lower layers, and groups of links that are changed in part. */
export function lowerHardlinkVectors(): readonly HostileLayers[] {
  const base = [file("f", "old", { mode: 0o640 }), hardlink("g", "f"), dir("d"), file("d/x", "x"), symlink("l", "d")];
  const rest: Tree = { d: aDir(), "d/x": aFile("x"), l: aLink("d") };
  const group: Tree = { f: aFile("old"), g: aFile("old", { sameAs: "f" }) };
  return [
    gives("lower-file-replaced", "the other name of the lower file keeps it", [base, [file("f", "new")]], {
      ...rest,
      f: aFile("new"),
      g: aFile("old"),
    }),
    gives("lower-file-linked", "the lower file and the new name are one", [base, [hardlink("h", "d/x")]], {
      ...rest,
      ...group,
      h: aFile("x", { sameAs: "d/x" }),
    }),
    gives(
      "lower-file-linked-and-replaced",
      "the link keeps the lower file",
      [base, [hardlink("h", "d/x"), file("d/x", "new")]],
      { ...rest, ...group, "d/x": aFile("new"), h: aFile("x") },
    ),
    gives(
      "lower-file-linked-and-hidden",
      "the whiteout comes after the link",
      [base, [hardlink("h", "d/x"), whiteout("d/x")]],
      { d: aDir(), l: aLink("d"), ...group, h: aFile("x") },
    ),
    gives("lower-file-linked-over-itself", "in a circle", [base, [hardlink("h", "d/x"), hardlink("d/x", "h")]], {
      ...rest,
      ...group,
      h: aFile("x", { sameAs: "d/x" }),
    }),
    gives("lower-link-linked", "the link, not its target", [base, [hardlink("h", "l")]], {
      ...rest,
      ...group,
      h: aLink("d", { sameAs: "l" }),
    }),
    gives("through-parent-of-lower-link", "the target's parent is a lower link", [base, [hardlink("h", "l/x")]], {
      ...rest,
      ...group,
      h: aFile("x", { sameAs: "d/x" }),
    }),
    gives("over-lower-directory", "what was in it is gone", [base, [hardlink("d", "f")]], {
      f: aFile("old"),
      g: aFile("old"),
      l: aLink("d"),
      d: aFile("old"),
    }),
  ].map((vector) => (vector.name.endsWith("over-lower-directory") ? parted(vector) : vector));
}

/** Overlayfs copies one of the lower names up and leaves the others. */
function parted(vector: HostileLayers): HostileLayers {
  return "tree" in vector.expect ? { ...vector, expect: { ...vector.expect, partsLinks: true } } : vector;
}
