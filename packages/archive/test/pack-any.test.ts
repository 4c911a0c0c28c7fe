import { listChanges, type Trees } from "@varve/archive";
import { llistxattr } from "@varve/syscalls";
import { assert, integer, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { copyTree, pack } from "./pack.ts";
import { apply, isRoot, Sandbox } from "./sandbox.ts";
import { edit, edits } from "./tree-edits.ts";
import { type Node, readTree } from "./tree.ts";

const runs = { numRuns: Number(process.env["VARVE_FUZZ_RUNS"] ?? 30) };

/** What is listed, but for files that have several names below: which of them changed is a matter of view. */
function changesOf(trees: Trees, links: readonly Node[]): string[] {
  const left = new Set(links.flatMap(({ path, inode }) => [path, inode]));
  const changes = [...listChanges(trees)].map(({ kind, path }) => ({ kind, path: path.toString("latin1") }));
  return changes
    .filter(({ path }) => !left.has(path))
    .map(({ kind, path }) => `${kind} ${path}`)
    .toSorted();
}

/** The directories of an overlay's upper tree that were made anew in place of a lower one. */
function madeAnew(upper: string): string[] {
  return readTree(upper)
    .filter(({ type }) => type === "dir")
    .map(({ path }) => path)
    .filter((path) => {
      const full = Buffer.concat([Buffer.from(`${upper}/`), Buffer.from(path, "latin1")]);
      return llistxattr(full).some((name) => name.toString() === "trusted.overlay.opaque");
    });
}

describe.skipIf(!isRoot)("any trees (needs root)", () => {
  test("a tree that is packed and applied is the same tree", { timeout: 600_000 }, () => {
    assert(
      property(edits, (changes) => {
        using box = new Sandbox();
        const [upper, applied] = [box.directory(), box.directory()];
        edit(upper, changes);
        const { layer } = pack({ upper });
        apply(layer, applied);
        expect(readTree(applied)).toEqual(readTree(upper));
        expect(pack({ upper: applied }).layer).toEqual(layer);
      }),
      runs,
    );
  });

  // C-TAR.50
  test("the difference of two trees applied to the lower one is the upper one", { timeout: 600_000 }, () => {
    assert(
      property(edits, edits, (before, changes) => {
        using box = new Sandbox();
        const [lower, upper, applied] = [box.directory(), box.directory(), box.directory()];
        edit(lower, before);
        copyTree(lower, upper);
        expect([...listChanges({ lower, upper })]).toEqual([]);
        edit(upper, changes);
        copyTree(lower, applied);
        const { layer } = pack({ lower, upper });
        apply(layer, applied);
        expect(readTree(applied)).toEqual(readTree(upper));
        expect([...listChanges({ lower: applied, upper })]).toEqual([]);
      }),
      runs,
    );
  });

  test("the difference of trees that have nothing to do with each other does it too", { timeout: 600_000 }, () => {
    assert(
      property(edits, edits, integer({ min: 1, max: 2000 }), (before, after, blockSize) => {
        using box = new Sandbox();
        const [lower, upper, applied] = [box.directory(), box.directory(), box.directory()];
        edit(lower, before);
        edit(upper, after);
        copyTree(lower, applied);
        const { layer } = pack({ lower, upper }, { blockSize });
        apply(layer, applied);
        expect(readTree(applied)).toEqual(readTree(upper));
        expect(pack({ lower, upper }).layer).toEqual(layer);
      }),
      runs,
    );
  });

  // U-DIFF.5 the other way round
  test(
    "what an overlay's upper directory tells, applied to the lower tree, is the merged view",
    { timeout: 600_000 },
    () => {
      assert(
        property(edits, edits, (before, changes) => {
          using box = new Sandbox();
          const [lower, upper, applied] = [box.directory(), box.directory(), box.directory()];
          edit(lower, before);
          const merged = box.overlay([lower], upper);
          edit(merged, changes);
          const expected = readTree(merged);
          const links = readTree(lower).filter(({ path, inode }) => inode !== "" && inode !== path);
          copyTree(lower, applied);
          apply(pack({ lower, upper, form: "overlay" }).layer, applied);
          expect(readTree(applied)).toEqual(expected);
          const again = box.directory();
          copyTree(lower, again);
          apply(pack({ lower, upper: merged }).layer, again);
          expect(readTree(again)).toEqual(expected);
          const seen = changesOf({ lower, upper: merged }, links);
          const anew = madeAnew(upper).map((path) => `modified ${path}/`);
          // What is in a directory that was made anew is told, even if it is what was there before.
          const isSame = (told: string): boolean =>
            !seen.includes(told) && anew.some((start) => told.startsWith(start));
          const told = changesOf({ lower, upper, form: "overlay" }, links).filter((each) => !isSame(each));
          expect(told).toEqual(seen);
        }),
        runs,
      );
    },
  );
});
