import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { array, assert, boolean, constantFrom, nat, oneof, property, record } from "fast-check";
import { describe, expect, test } from "vitest";
import { applyInPlace, applyStaged, isRoot, openDescriptors, Sandbox } from "./sandbox.ts";
import { checksummed, dir, file, hardlink, symlink, tar, whiteout } from "./tar-builder.ts";
import { readTree } from "./tree.ts";

const lower: Buffer = tar(
  dir("a"),
  file("a/f", "lower"),
  dir("a/b"),
  file("a/b/g", "lower"),
  symlink("a", "l"),
  file("h", "lower"),
  dir("e"),
  file("e/f"),
);

/** Something of everything, in blocks of which any may be changed. */
const upper: Buffer = tar(
  dir("a/b"),
  { ...file("a/b/f", "x".repeat(700)), pax: { "SCHILY.xattr.user.a": "b", mtime: "1234567890.5" } },
  whiteout("a/.wh.f"),
  symlink("../a", "a/b/l"),
  file("l/through", "x"),
  hardlink("a/b/f", "a/h"),
  hardlink("h", "i"),
  { name: "a/p", type: "6" },
  { name: "a/c", type: "3", major: 1, minor: 3 },
  whiteout("a/b/.wh..wh..opq"),
  file("e", "a file, and then a directory"),
  dir("e"),
);

/** Bytes that mean something in a header, and any others. */
const byte = oneof(constantFrom(...Buffer.from("\0 ./0157.wh.opq\u{80}\u{ff}", "latin1")), nat(255));
const at = oneof(
  // Names, types, targets of links, and anything.
  { weight: 4, arbitrary: record({ block: nat(upper.length / 512 - 1), in: nat(20) }) },
  { weight: 2, arbitrary: record({ block: nat(upper.length / 512 - 1), in: constantFrom(156, 157, 158, 124, 135) }) },
  { weight: 1, arbitrary: record({ block: nat(upper.length / 512 - 1), in: nat(511) }) },
);
const changes = array(record({ at, byte, fix: boolean() }), { minLength: 1, maxLength: 5 });

const refusals = new Set<unknown>(["ERR_INVALID_DATA", "ERR_NOT_IMPLEMENTED", "ERR_RESOURCE_EXHAUSTED"]);

function outcome(work: () => string): unknown {
  try {
    return readTree(work(), { without: ["inode"] });
  } catch (error) {
    if (error instanceof Error && "code" in error && refusals.has(error.code)) return "refused";
    throw error;
  }
}

describe.skipIf(!isRoot)("a layer with any bytes changed (needs root)", () => {
  test(
    "is refused, or gives the same tree in place and for an overlay, and changes nothing outside",
    { timeout: 120_000 },
    () => {
      const canary = mkdtempSync(join(tmpdir(), "varve-archive-canary-"));
      try {
        mkdirSync(join(canary, "a"));
        writeFileSync(join(canary, "a/f"), "canary");
        const before = readTree(canary);
        const descriptors = openDescriptors();
        assert(
          property(changes, (each) => {
            using box = new Sandbox();
            const changed = Buffer.from(upper);
            for (const { at: place, byte: value, fix } of each) {
              const start = place.block * 512;
              changed[start + place.in] = value;
              // Without the right checksum nothing behind it is looked at.
              if (fix || place.in < 148) checksummed(changed.subarray(start, start + 512));
            }
            const inPlace = outcome(() => applyInPlace(box, [lower, changed]));
            expect(outcome(() => applyStaged(box, [lower, changed]).root)).toEqual(inPlace);
            expect(readTree(canary)).toEqual(before);
          }),
          { numRuns: Number(process.env["VARVE_FUZZ_RUNS"] ?? 400) },
        );
        expect(openDescriptors()).toEqual(descriptors);
      } finally {
        rmSync(canary, { recursive: true });
      }
    },
  );
});
