import { appendFileSync, renameSync, symlinkSync, truncateSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listChanges, packLayer } from "@varve/archive";
import { AT_FDCWD, makedev, mknodat, S_IFCHR, S_IFIFO } from "@varve/syscalls";
import { describe, expect, test } from "vitest";
import { pack } from "./pack.ts";
import { directory, file, Pair } from "./pair.ts";
import { isRoot, openDescriptors, Sandbox } from "./sandbox.ts";

/** Packs a tree and changes it when the first block is out, which is in the middle of the file `d/f`. */
function disturbed(change: (root: string) => void): () => void {
  return () => {
    using box = new Sandbox();
    const upper = box.directory();
    directory(join(upper, "d"), () => file(join(upper, "d/f"), "y".repeat(100_000)));
    utimesSync(upper, 1, 1);
    let changed = false;
    for (const block of packLayer({ upper }, { blockSize: 3 * 512 + 10 })) {
      if (!changed) change(upper);
      changed = block.length > 0;
    }
  };
}

/** Packs two trees, and puts something else in the place of the file `d/f` between finding and opening it. */
function swapped(swap: (path: string) => void): () => void {
  return () => {
    using box = new Sandbox();
    const [lower, upper] = [box.directory(), box.directory()];
    directory(join(lower, "d"));
    directory(join(upper, "d"), () => file(join(upper, "d/f")));
    for (const root of [lower, upper]) utimesSync(root, 1, 1);
    // The first block is out when the file was found, and is a part of the header of its directory.
    const packing = packLayer({ upper, lower }, { blockSize: 100 });
    packing.next();
    unlinkSync(join(upper, "d/f"));
    swap(join(upper, "d/f"));
    for (const block of packing) expect(block.length).toBeGreaterThan(0);
  };
}

describe("blocks", () => {
  test("are as large as asked for, and hold what they hold until the next is taken", () => {
    using trees = new Pair((root) => file(join(root, "large"), "y".repeat(100_000)));
    const whole = pack({ upper: trees.upper }).layer;
    const sizes = new Set<number>();
    const parts: Buffer[] = [];
    for (const block of packLayer({ upper: trees.upper }, { blockSize: 999 })) {
      sizes.add(block.length);
      parts.push(Buffer.from(block));
      block.fill(0xee);
    }
    expect(Buffer.concat(parts).equals(whole)).toBe(true);
    expect([...sizes]).toEqual([999, whole.length % 999]);
  });

  test("lie in the memory that is given, also when it is shared", () => {
    using trees = new Pair((root) => file(join(root, "large"), "y".repeat(100_000)));
    const given: Uint8Array[] = [];
    const allocate = (): Uint8Array => {
      const block = new Uint8Array(new SharedArrayBuffer(4096));
      given.push(block);
      return block;
    };
    const blocks = [...packLayer({ upper: trees.upper }, { allocate })];
    expect(blocks.every((block, at) => block.buffer === given[at]?.buffer && block.byteOffset === 0)).toBe(true);
    // None is asked for that is not needed: there may be none for a while.
    expect(given.length).toBe(blocks.length);
    expect(Buffer.concat(blocks).equals(pack({ upper: trees.upper }).layer)).toBe(true);
  });

  test("that are not taken to the end leave nothing open, also while zeros are looked for", () => {
    using sparse = new Pair((root) => {
      file(join(root, "large"));
      truncateSync(join(root, "large"), 1_000_000);
    });
    const opened = openDescriptors();
    const packing = packLayer({ upper: sparse.upper }, { sparse: true, blockSize: 512 });
    for (let taken = 0; taken < 4; taken += 1) packing.next();
    expect(openDescriptors().length).toBe(opened.length + 2);
    packing.return({ entries: 0, bytes: 0, skipped: { sockets: 0 } });
    expect(openDescriptors()).toEqual(opened);
  });

  test("that are not taken to the end leave nothing open", () => {
    using trees = new Pair((root) => file(join(root, "large"), "y".repeat(100_000)));
    const before = openDescriptors();
    for (const block of packLayer({ upper: trees.upper }, { blockSize: 4096 })) {
      expect(openDescriptors().length).toBeGreaterThan(before.length);
      if (block.length > 0) break;
    }
    expect(openDescriptors()).toEqual(before);
  });
});

describe("a check", () => {
  test("is called for names that are the same too, and while contents are compared, and ends the walk", () => {
    using trees = new Pair((root) => file(join(root, "large"), "y".repeat(1_000_000)));
    const before = openDescriptors();
    let calls = 0;
    const count = { check: () => void (calls += 1) };
    expect([...listChanges(trees, count)]).toEqual([]);
    expect(calls).toBeGreaterThan(8);
    const stop = {
      check: () => {
        calls -= 1;
        if (calls < 5) throw new Error("enough");
      },
    };
    expect(() => pack(trees, stop)).toThrowError("enough");
    expect(openDescriptors()).toEqual(before);
  });
});

describe("a tree that changes while it is read", () => {
  const code = "ERR_FAILED_PRECONDITION";

  test("a file that becomes shorter is an error with its name", () => {
    expect(disturbed((root) => truncateSync(join(root, "d/f"), 10_000))).toThrowError(
      expect.objectContaining({ code, message: 'tree: entry "d/f": became shorter while the trees were read' }),
    );
  });

  test("a file that grows is one", () => {
    expect(disturbed((root) => appendFileSync(join(root, "d/f"), "more"))).toThrowError(
      expect.objectContaining({ code, message: 'tree: entry "d/f": changed while the trees were read' }),
    );
  });

  test("a file that is written in place is one", () => {
    expect(disturbed((root) => writeFileSync(join(root, "d/f"), "z", { flag: "r+" }))).toThrowError(
      expect.objectContaining({ code }),
    );
  });

  // To open a device can do something. One that nothing stands behind fails with ENXIO when it is opened.
  test.skipIf(!isRoot)("a device in the place of a file is one, and is not opened (needs root)", () => {
    expect(swapped((path) => mknodat(AT_FDCWD, path, S_IFCHR | 0o600, makedev(4000, 0)))).toThrowError(
      expect.objectContaining({ code }),
    );
  });

  test("a fifo, a link or nothing in the place of a file is one, and is not waited for", () => {
    const swaps: ((path: string) => void)[] = [
      (path) => mknodat(AT_FDCWD, path, S_IFIFO | 0o600, 0),
      (path) => symlinkSync("/etc/passwd", path),
      () => undefined,
    ];
    for (const swap of swaps) expect(swapped(swap)).toThrowError(expect.objectContaining({ code }));
  });

  test("a link in the place of a directory is one, and is not followed", () => {
    using box = new Sandbox();
    const [upper, outside] = [box.directory(), box.directory()];
    file(join(outside, "secret"));
    for (const name of ["a", "b"]) directory(join(upper, name), () => file(join(upper, name, "f")));
    const packing = packLayer({ upper }, { blockSize: 100 });
    packing.next();
    renameSync(join(upper, "b"), join(outside, "b"));
    symlinkSync(outside, join(upper, "b"));
    // Found as a link, it is told as one.
    expect(Buffer.concat([...packing]).includes("secret")).toBe(false);
    expect(() => pack({ upper: join(upper, "nothing") })).toThrowError(expect.objectContaining({ code: "ENOENT" }));
  });
});
