import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "@varve-tools/corpus";
import { createLayerWriter, createTarWriter } from "@varve/archive";
import { codeOf } from "../faults/codes.ts";
import { layerOf } from "../layers/layer-of.ts";
import type { Item } from "../layers/layer-of.ts";
import { randomEntry } from "../layers/random-entry.ts";
import { randomItems } from "../layers/random-items.ts";
import { readTree } from "../tree.ts";

const options = {
  types: [
    "file",
    "file",
    "file",
    "directory",
    "directory",
    "directory",
    "symlink",
    "hardlink",
    "hardlink",
    "fifo",
    "char",
  ],
  depth: 3,
  whiteouts: 12,
  opaques: 24,
  size: 30_000,
} as const;

export interface RandomLayersOptions {
  /** A directory in which is tried what can be applied: it is made, and removed. */
  readonly scratch: string;
  /** Whether the last one may be one that does not fit, which is then what there is up to it. Default: false. */
  readonly mayEndBadly?: boolean | undefined;
}

export interface RandomLayers {
  readonly layers: readonly Buffer[];
  /** How many entries they come to, with the root; `undefined` if the last one does not fit. */
  readonly entries: number | undefined;
}

/**
 * Archives that depend on each other, the lowest first: what replaces, hides, links to or goes through what is below; one that is
 * empty, one that comes again, one with a sparse file.
 */
export async function randomLayers(
  random: () => number,
  { scratch, mayEndBadly = false }: RandomLayersOptions,
): Promise<RandomLayers> {
  const below = (count: number): number => Math.floor(random() * count);
  const [tree, trial] = [join(scratch, "tree"), join(scratch, "trial")];
  await mkdir(tree, { recursive: true });
  let fits = true;
  const layers: Buffer[] = [];
  for (let count = 3 + below(6); layers.length < count;) {
    await exec("cp", ["-a", tree, trial]);
    const layer = nextLayer(layers, random, trial);
    await exec("rm", ["-r", trial]);
    // Together they may do what they did not do one by one: a whiteout hides nothing of its own layer.
    await exec("cp", ["-a", tree, trial]);
    fits = apply(layer, trial);
    if (fits) await exec("rm", ["-r", tree]).then(() => rename(trial, tree));
    else await exec("rm", ["-r", trial]);
    if (fits || mayEndBadly) layers.push(layer);
    if (!fits && mayEndBadly) break;
  }
  const entries = fits || !mayEndBadly ? readTree(tree).size : undefined;
  await exec("rm", ["-r", scratch]);
  return { layers, entries };
}

function nextLayer(layers: readonly Buffer[], random: () => number, trial: string): Buffer {
  const below = (count: number): number => Math.floor(random() * count);
  const kind = below(14);
  const again = layers[below(layers.length)];
  if (kind === 0) return layerOf([]);
  if (kind === 1) return sparseLayer(below);
  if (kind <= 3 && again !== undefined) return again;
  const items = candidates(below, random, layers.length === 0);
  return layerOf(items.filter((item) => apply(layerOf([item]), trial)));
}

function candidates(below: (count: number) => number, random: () => number, isBase: boolean): Item[] {
  const items = Array.from({ length: (isBase ? 80 : 15) + below(30) }, () => randomEntry(random, options));
  // With long names, large numbers and every kind of character.
  return below(3) === 0 ? [...items, ...randomItems(random)] : items;
}

/** Says whether the layer could be applied; the tree may have some of it then, too. */
function apply(layer: Buffer, tree: string): boolean {
  const writer = createLayerWriter(tree);
  try {
    writer.write(layer);
    writer.end();
    return true;
  } catch (error) {
    if (codeOf(error) !== "ERR_INVALID_DATA") throw error;
    return false;
  } finally {
    writer.abort();
  }
}

/** A file of which the archive leaves out most. */
function sparseLayer(below: (count: number) => number): Buffer {
  const blocks: Buffer[] = [];
  const writer = createTarWriter((block) => blocks.push(Buffer.from(block)));
  const bytes = Buffer.alloc(1 + below(5000), "sparse");
  const name = Buffer.from("abcdef".charAt(below(6)));
  writer.entry({
    name: Buffer.concat([name, Buffer.from(".sparse")]),
    type: "file",
    mode: 0o640,
    uid: below(1000),
    gid: 0,
    mtime: { seconds: below(2_000_000_000), nanoseconds: 0 },
    size: 400_000,
    pieces: [{ offset: 4096 * below(90), length: bytes.length }],
  });
  writer.data(bytes);
  writer.end();
  return Buffer.concat(blocks);
}
