import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { createLayerWriter, settleLayer } from "@varve/archive";
import type { LayerWriterOptions, LowerQuestions } from "@varve/archive";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { codeOf } from "../src/faults/codes.ts";
import { fingerprint } from "../src/fingerprint.ts";
import { dir, file, hardlink, layerOf, opaque, symlink, whiteout } from "../src/layers/layer-of.ts";
import type { Item } from "../src/layers/layer-of.ts";
import { rounds } from "../src/rounds.ts";
import { startSwapper } from "../src/swapper.ts";
import type { Swapper } from "../src/swapper.ts";

const isRoot = process.geteuid?.() === 0;
const tries = rounds(800, 100);
const secret = "canary: nobody may read this";

/** What a layer has in one of the directories that are swapped: every kind of entry, and things for the layers below to answer. */
function inDirectory(path: string): readonly Item[] {
  return [
    dir(path),
    { ...file(`${path}/f`, "new"), uid: 7, mode: 0o4777 },
    dir(`${path}/b`),
    file(`${path}/b/f`, "new"),
    { ...symlink(`${path}/b/l`, "f"), uid: 7 },
    { name: `${path}/b/p`, type: "fifo", mode: 0o666 },
    hardlink(`${path}/h`, `${path}/b/f`),
    hardlink(`${path}/b/secret`, `${path}/b/only below`),
    whiteout(`${path}/gone`),
    ...Array.from({ length: 40 }, (_, at) => file(`${path}/${at}/f`, "x")),
    { ...dir(`${path}/b/c`), xattrs: new Map([["user.x", Buffer.from("y")]]) },
    file(`${path}/b/c/g`, "new"),
    whiteout(`${path}/b/gone`),
  ];
}

/** Comes back to each directory after more of them than are held open. */
const layer = layerOf([
  ...inDirectory("a"),
  ...inDirectory("d/e"),
  ...["a", "d/e"].flatMap((path) => [opaque(`${path}/b`), opaque(path), file(`${path}/b/last`, "new")]),
]);

let base = "";
/** What nobody may touch: it has all that the layer asks for. */
let canary = "";
let trees = 0;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "varve-swap-layers-"));
  canary = join(base, "canary");
  fill(canary, secret);
});

afterEach(() => rmSync(base, { recursive: true, force: true }));

function fill(tree: string, content: string): void {
  mkdirSync(join(tree, "b/c"), { recursive: true });
  for (const name of ["f", "h", "gone", "b/f", "b/gone", "b/only below", "b/c/g"])
    writeFileSync(join(tree, name), content);
}

/** Moves a tree out of the way, so that nobody swaps anything in it. */
function aside(path: string): string {
  const old = join(base, `old-${trees++}`);
  renameSync(path, old);
  return old;
}

/** Makes a tree, and puts it where names are swapped when it is complete: or the links would be followed here. */
function place(tree: string, ...filled: readonly string[]): void {
  const next = join(base, "next");
  mkdirSync(next);
  for (const name of filled) fill(join(next, name), "lower");
  renameSync(next, tree);
}

/** A link to the canary that can be exchanged for `name`. What an exchange has left there goes out of the way. */
function linkAt(path: string, to: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isSymbolicLink() === true) return;
  if (stat !== undefined) aside(path);
  symlinkSync(to, path);
}

function pairs(tree: string, [one = "", other = ""]: readonly string[]): [string, string][] {
  return [
    [join(tree, "a"), one],
    [join(tree, "d/e"), other],
  ];
}

/** Nothing with the secret may come to be in a tree: neither a copy nor a link. */
function leaks(tree: string): string[] {
  // Links are not entered here, as they are by a recursive readdir.
  return readdirSync(tree, { withFileTypes: true }).flatMap((entry) => {
    const path = join(tree, entry.name);
    if (entry.isDirectory()) return leaks(path);
    return entry.isFile() && readFileSync(path, "utf8") === secret ? [path] : [];
  });
}

/**
 * Moves a tree aside, and looks into the one before it: an exchange that had found its names before the move may still
 * happen in this one.
 */
function mustKeepNoSecret(last: string | undefined, tree: string): string {
  expect(last === undefined ? [] : leaks(last)).toEqual([]);
  if (last !== undefined) rmSync(last, { recursive: true });
  return aside(tree);
}

/** How often what was tried came to which end, and how often names were exchanged meanwhile. */
class Tally {
  readonly ends: Record<string, number> = {};
  hits = 0;

  try<T>(what: string, swapper: Swapper, work: () => T): T | undefined {
    const before = swapper.swaps;
    try {
      const result = work();
      this.#count(`${what}: done`);
      return result;
    } catch (error) {
      const code = codeOf(error);
      // An error without a code is one that nobody thought of.
      if (typeof code !== "string") throw error;
      this.#count(`${what}: ${code}`);
      return undefined;
    } finally {
      if (swapper.swaps > before) this.hits += 1;
    }
  }

  #count(end: string): void {
    this.ends[end] = (this.ends[end] ?? 0) + 1;
  }

  /**
   * Whether enough was tried while names were exchanged, something failed because of that, and all of these have been done. How
   * many tries that takes is up to the machine: tests go on until it is so.
   */
  wasRace(...all: readonly string[]): boolean {
    const hasFailed = Object.keys(this.ends).some((end) => !end.endsWith(": done"));
    return this.hits > tries / 2 && hasFailed && all.every((what) => this.ends[`${what}: done`] !== undefined);
  }
}

function apply(root: string, options: LayerWriterOptions): LowerQuestions | undefined {
  const writer = createLayerWriter(root, options);
  try {
    // As many calls as there would be in a pull, so that there is something between them.
    for (let at = 0; at < layer.length; at += 8192) writer.write(layer.subarray(at, at + 8192));
    return writer.end().questions;
  } finally {
    writer.abort();
  }
}

// K20
describe.skipIf(!isRoot)(`directories swapped for links by another thread, ${tries} times (needs root)`, () => {
  test("a layer that is applied in place leaves what the links lead to as it is, and takes nothing from it", async ({
    signal,
  }) => {
    const root = join(base, "root");
    const tally = new Tally();
    const before = fingerprint(canary);
    const links = ["link", "other link"].map((name) => join(base, name));
    // None of these names goes through another that is swapped, or it would be this thread that reaches outside.
    await using swapper = await startSwapper(pairs(root, links));
    let last: string | undefined;
    for (let round = 0; round < tries || !tally.wasRace(); round += 1) {
      await nextTurn(undefined, { signal });
      for (const link of links) linkAt(link, canary);
      place(root, "a", "d/e");
      tally.try("apply", swapper, () => apply(root, {}));
      expect(fingerprint(canary), `round ${round}`).toEqual(before);
      last = mustKeepNoSecret(last, root);
    }
    process.stdout.write(`in place: ${swapper.swaps} swaps, ${tally.hits} hits, ${JSON.stringify(tally.ends)}\n`);
  });

  test("a layer for an overlay, and what it then asks of the layers below, leave it as it is, and copy nothing of it", async ({
    signal,
  }) => {
    const [upper, lower] = [join(base, "upper"), join(base, "lower")];
    const ofUpper = ["link", "other link"].map((name) => join(base, name));
    const ofLower = ["link below", "other link below"].map((name) => join(base, name));
    const tally = new Tally();
    const before = fingerprint(canary);
    await using swapper = await startSwapper([...pairs(upper, ofUpper), ...pairs(lower, ofLower)]);
    let last: string | undefined;
    for (let round = 0; round < tries || !tally.wasRace("settle"); round += 1) {
      await nextTurn(undefined, { signal });
      for (const link of [...ofUpper, ...ofLower]) linkAt(link, canary);
      place(lower, "a", "d/e");
      place(upper);
      const questions = tally.try("stage", swapper, () => apply(upper, { target: "overlay" }));
      if (questions !== undefined) tally.try("settle", swapper, () => settleLayer(upper, lower, questions));
      expect(fingerprint(canary), `round ${round}`).toEqual(before);
      last = mustKeepNoSecret(last, upper);
      aside(lower);
    }
    process.stdout.write(`overlay: ${swapper.swaps} swaps, ${tally.hits} hits, ${JSON.stringify(tally.ends)}\n`);
  });
});
