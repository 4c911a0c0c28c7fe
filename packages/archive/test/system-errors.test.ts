import fs, { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { llistxattr, lsetxattr } from "@varve/syscalls";
import { afterEach, describe, expect, test } from "vitest";
import { apply, applyInPlace, applyStaged, asNobody, isRoot, openDescriptors, Sandbox } from "./sandbox.ts";
import { dir, file, type Spec, tar } from "./tar-builder.ts";
import { readTree } from "./tree.ts";

const { writeSync } = fs;
const device: Spec = { name: "d/null", type: "3", major: 1, minor: 3, mode: 0o666 };
const whiteoutDevice: Spec = { name: "d/null", type: "3" };

/** Lets the kernel's answers to writes be others. */
function answerWrites(answer: (length: number) => number | Error): void {
  fs.writeSync = ((fd: number, bytes: Uint8Array, at: number, length: number, position: number) => {
    const result = answer(length);
    if (result instanceof Error) throw result;
    return result === 0 ? 0 : writeSync(fd, bytes, at, result, position);
  }) as typeof writeSync;
  syncBuiltinESMExports();
}

afterEach(() => {
  fs.writeSync = writeSync;
  syncBuiltinESMExports();
});

describe("what the system answers", () => {
  const mine = { ownership: "skip" } as const;
  const content = "x".repeat(100_000);

  test("a write that takes a part of the bytes goes on with the rest", () => {
    // F07
    using box = new Sandbox();
    const root = box.directory();
    answerWrites((length) => Math.min(length, 7001));
    apply(tar(file("f", content)), root, mine);
    expect(readFileSync(join(root, "f"), "utf8")).toBe(content);
  });

  test("a write that takes nothing ends the layer, and not in a circle", () => {
    // F07
    using box = new Sandbox();
    const root = box.directory();
    const open = openDescriptors();
    let count = 0;
    answerWrites((length) => {
      count += 1;
      if (count > 5) throw new Error("asked again and again");
      return count === 1 ? Math.min(length, 5) : 0;
    });
    expect(() => apply(tar(file("f", content)), root, mine)).toThrow(
      expect.objectContaining({ code: "EIO", message: 'layer: entry "f" at byte 0: EIO: i/o error, write' }),
    );
    expect(openDescriptors()).toEqual(open);
  });

  test("an error that Node has no name for gets its own", () => {
    // F03
    using box = new Sandbox();
    const quota = Object.assign(new Error("UNKNOWN: unknown error, write"), {
      code: "UNKNOWN",
      errno: -122,
      syscall: "write",
    });
    answerWrites(() => quota);
    expect(() => apply(tar(file("f", content)), box.directory(), mine)).toThrow(
      expect.objectContaining({
        code: "EDQUOT",
        errno: -122,
        message: 'layer: entry "f" at byte 0: EDQUOT: disk quota exceeded, write',
        cause: quota,
      }),
    );
  });
});

test.skipIf(!isRoot)(
  "attributes that only root may remove stay where somebody else replaces a directory (needs root)",
  () => {
    using box = new Sandbox();
    const root = box.directory();
    mkdirSync(join(root, "d"));
    lsetxattr(join(root, "d"), "security.varve-test", Buffer.from("x"), 0);
    lsetxattr(join(root, "d"), "user.old", Buffer.from("x"), 0);
    asNobody(box, [root, join(root, "d")], () => apply(tar(dir("d")), root, { ownership: "skip" }));
    expect(llistxattr(join(root, "d")).map(String)).toEqual(["security.varve-test"]);
    apply(tar(dir("d")), root);
    expect(llistxattr(join(root, "d"))).toEqual([]);
  },
);

describe.skipIf(!isRoot)("devices (needs root)", () => {
  test("that the caller may not make are refused, with the way out", () => {
    // U-TAR.7
    using box = new Sandbox();
    const root = box.directory();
    const layer = tar(dir("d"), device);
    expect(() => asNobody(box, [root], () => apply(layer, root, { ownership: "skip" }))).toThrow(
      expect.objectContaining({
        code: "ERR_FAILED_PRECONDITION",
        message:
          'layer: entry "d/null" at byte 512: device 1:3 may not be made here, as in any user namespace; ' +
          'the option devices: "skip" leaves them out (device-permission)',
        cause: expect.objectContaining({ code: "EPERM" }),
      }),
    );
  });

  test.each([
    ["a device", device],
    ["one that overlayfs would take for a whiteout", whiteoutDevice],
  ])("that are left out are in nobody's way, and what they replace is gone: %s", (_what, spec) => {
    using box = new Sandbox();
    const skip = { devices: "skip" } as const;
    const layers = [
      tar(dir("d", { mtime: 7 }), file("d/null", "lower"), file("d/other")),
      tar(file("new"), spec),
      tar(dir("d/null"), file("d/null/x")),
      tar(dir("d/null"), file("d/null/y"), spec),
    ];
    expect(apply(tar(spec), box.directory(), skip).skipped.devices).toBe(1);
    for (const count of [2, 3, 4]) {
      const root = applyInPlace(box, layers.slice(0, count), skip);
      expect(existsSync(join(root, "d/null"))).toBe(count === 3);
      expect(readTree(applyStaged(box, layers.slice(0, count), skip).root)).toEqual(readTree(root));
    }
    expect(statSync(join(applyInPlace(box, layers.slice(0, 2), skip), "d")).mtimeMs).toBe(7000);
  });
});
