import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { createLayerWriter } from "@varve/archive";
import { mount } from "@varve/syscalls";
import { describe, expect, test } from "vitest";
import { apply, isRoot, Sandbox } from "./sandbox.ts";
import { dir, entry, file, hardlink, symlink, tar, whiteout } from "./tar-builder.ts";
import { readTree } from "./tree.ts";

const rounds = Number(process.env["VARVE_RACE_ROUNDS"] ?? 30);

describe.skipIf(!isRoot)("when somebody else is at work in the root (needs root)", () => {
  // K20
  test("directories swapped for links never lead outside", { timeout: 600_000 }, async () => {
    using box = new Sandbox();
    const canary = box.directory();
    mkdirSync(join(canary, "b"));
    writeFileSync(join(canary, "f"), "canary");
    writeFileSync(join(canary, "b/f"), "canary");
    const [root, beside] = [box.directory(), box.directory()];
    mkdirSync(join(root, "a/b"), { recursive: true });
    symlinkSync(canary, join(beside, "a"));
    const before = readTree(canary);
    const stop = new Int32Array(new SharedArrayBuffer(8));
    const pairs = [[join(root, "a"), join(beside, "a")]];
    const worker = new Worker(new URL("swap-worker.ts", import.meta.url), { workerData: { pairs, stop } });
    const exited = once(worker, "exit");
    const layer = tar(
      dir("a"),
      file("a/f", "new", { mode: 0o777, uid: 7 }),
      dir("a/b", { mode: 0o777 }),
      file("a/b/f", "new"),
      { ...symlink("f", "a/b/l"), pax: { "SCHILY.xattr.trusted.x": "y" } },
      hardlink("a/b/f", "a/h"),
      whiteout("a/.wh.b"),
      // More than descriptors are kept, so that directories are opened again by their paths.
      ...Array.from({ length: 150 }, (_, at) => file(`a/${at}/f`, "x")),
      file("a/b/g", "new"),
      whiteout("a/b/.wh..wh..opq"),
      whiteout("a/.wh..wh..opq"),
    );
    let done = 0;
    try {
      while (Atomics.load(stop, 1) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      for (; done < rounds; done += 1) attempt(() => apply(layer, root));
    } finally {
      Atomics.store(stop, 0, 1);
      await exited;
    }
    expect(done).toBe(rounds);
    // There was a race: names were swapped more often than layers were applied.
    expect(Atomics.load(stop, 1)).toBeGreaterThan(rounds);
    expect(readTree(canary)).toEqual(before);
  });

  test("a directory that became a link in the middle of a layer is not entered again", () => {
    using box = new Sandbox();
    const [root, canary] = [box.directory(), box.directory()];
    for (const name of ["b", "0"]) mkdirSync(join(canary, name));
    const before = readTree(canary);
    const writer = createLayerWriter(root);
    // More directories than descriptors are kept, so that the first ones must be opened again.
    const many = Array.from({ length: 150 }, (_, at) => file(`z/${at}/f`, "x"));
    writer.write(Buffer.concat([file("a/b/f", "x"), ...many].map(entry)));
    renameSync(join(root, "a"), join(root, "moved"));
    symlinkSync(canary, join(root, "a"));
    expect(() => writer.write(tar(file("a/b/g", "x")))).toThrow(
      expect.objectContaining({
        code: "ELOOP",
        message: expect.stringMatching(/^layer: entry "a\/b\/g" at byte \d+: /),
      }),
    );
    expect(readTree(canary)).toEqual(before);
  });

  // F01
  test("a full disk is told as that, with the entry", () => {
    using box = new Sandbox();
    const root = box.directory();
    mount(root, { source: "none", type: "tmpfs", flags: 0, data: "size=64k" });
    try {
      expect(() => apply(tar(file("small", "x"), file("large", Buffer.alloc(200_000))), root)).toThrow(
        expect.objectContaining({
          code: "ENOSPC",
          message: expect.stringMatching(/^layer: entry "large" at byte 1024: ENOSPC: no space/),
        }),
      );
    } finally {
      box.unmount(root);
    }
  });
});

// A layer may fail when the tree changes under it; that is not what this is about.
function attempt(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
  }
}
