import { block, char, dir, fifo, file, hardlink, symlink, whiteout } from "../build/entries.ts";
import { layer } from "../build/layer.ts";
import { aBlock, aChar, aDir, aFifo, aFile, aLink, type ExpectedNode } from "../tree/expected.ts";
import type { HostileLayers } from "../types.ts";

interface Kind {
  readonly entries: readonly Buffer[];
  readonly tree: Readonly<Record<string, ExpectedNode>>;
}

const target = { f: aFile("target") };

/** What may be at `x`, each told apart from the one that it replaces. */
const kinds: Readonly<Record<string, (mark: string) => Kind>> = {
  file: (mark) => ({ entries: [file("x", mark)], tree: { x: aFile(mark, { uid: 0 }) } }),
  directory: (mark) => ({
    entries: [dir("x", { mode: 0o750 }), file(`x/${mark}`, mark)],
    tree: { x: aDir({ mode: 0o750 }), [`x/${mark}`]: aFile(mark) },
  }),
  implied: (mark) => ({ entries: [file(`x/${mark}`, mark)], tree: { x: aDir(), [`x/${mark}`]: aFile(mark) } }),
  link: (mark) => ({ entries: [symlink("x", mark)], tree: { x: aLink(mark) } }),
  hardlink: () => ({ entries: [hardlink("x", "f")], tree: { x: aFile("target", { sameAs: "f" }) } }),
  fifo: () => ({ entries: [fifo("x", { mode: 0o600 })], tree: { x: aFifo({ mode: 0o600 }) } }),
  char: (mark) => ({ entries: [char("x", 1, mark.length)], tree: { x: aChar(`1:${mark.length}`) } }),
  block: (mark) => ({ entries: [block("x", 7, mark.length)], tree: { x: aBlock(`7:${mark.length}`) } }),
};

const directories = ["directory", "implied"];

/** Every kind of entry over every other: in the same layer, over a lower layer, and over one that is hidden first (U-TAR.6). */
export function replacedVectors(): readonly HostileLayers[] {
  const names = Object.keys(kinds);
  return names.flatMap((below) => names.flatMap((above) => pair(below, above)));
}

function pair(below: string, above: string): readonly HostileLayers[] {
  const [old, young] = [kinds[below]?.("older"), kinds[above]?.("new")];
  if (old === undefined || young === undefined) return [];
  const name = `replaced/${below}-by-${above}`;
  const about = "the new one is there, and nothing of the old one";
  const tree = { ...target, ...young.tree };
  const over = { ...target, ...merged(below, above, old, young) };
  const first = [file("f", "target"), ...old.entries];
  const vectors: HostileLayers[] = [
    { name: `${name}-in-one-layer`, about, layers: [layer(...first, ...young.entries)], expect: { tree: over } },
    { name, about, layers: [layer(...first), layer(...young.entries)], expect: { tree: over } },
    {
      name: `${name}-behind-a-whiteout`,
      about: "hidden and made again in one layer: directories do not merge",
      layers: [layer(...first), layer(whiteout("x"), ...young.entries)],
      expect: { tree },
    },
  ];
  // Only a directory can be implied: what is below anything else is an error, and has vectors of its own.
  if (above === "implied" && !directories.includes(below)) return vectors.slice(2);
  return vectors;
}

/** Directories merge; everything else makes room. */
function merged(below: string, above: string, old: Kind, young: Kind): Kind["tree"] {
  const both = directories.includes(below) && directories.includes(above);
  const mode = below === "directory" && above === "implied" ? { x: aDir({ mode: 0o750 }) } : {};
  return both ? { ...old.tree, ...young.tree, ...mode } : young.tree;
}
