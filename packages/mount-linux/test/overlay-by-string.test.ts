import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { overlayDirectories, overlayOptions } from "@varve/mount";
import type { Mount } from "@varve/mount";
import { AT_FDCWD, close, MOVE_MOUNT_F_EMPTY_PATH, moveMount } from "@varve/syscalls";
// Reached from inside, because kernels that need this way are older than the one the tests run on.
import { createByString } from "../src/overlay-by-string.ts";
import { parseOptions } from "../src/parsed-options.ts";
import { cannotMount, openDescriptors, sandbox } from "./sandbox.ts";

function mountByString(mount: Mount, target: string): void {
  const fd = createByString(mount, parseOptions(mount), overlayDirectories(mount));
  moveMount(fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
  close(fd);
}

const overlay = (...options: string[]): Mount => ({ type: "overlay", source: "overlay", options });

describe.skipIf(cannotMount)("overlays on kernels before 6.13 (needs root on Linux)", () => {
  test("directories are handed over, special characters included", () => {
    using box = sandbox();
    const [a = "", b = "", upper, work] = ["a,ro", "b:c", "upper,x", "work:y"].map((name) => box.directory(name));
    writeFileSync(join(a, "a"), "");
    writeFileSync(join(b, "b"), "");
    const target = box.directory("target");
    mountByString(overlay("index=off", ...overlayOptions({ lower: [a, b], data: [], upper, work })), target);
    expect(readdirSync(target).toSorted()).toEqual(["a", "b"]);
    writeFileSync(join(target, "new"), "");
    expect(existsSync(join(upper ?? "", "new"))).toBe(true);
    expect(box.mountPoints()).toEqual(["target"]);
  });

  // U-MNT.5
  test("150 layers, longer than a page with their names, are mounted", () => {
    using box = sandbox();
    const lower = Array.from({ length: 150 }, (_, index) => {
      const path = box.directory(`${"x".repeat(100)}-${index}`);
      writeFileSync(join(path, `file-${index}`), "");
      writeFileSync(join(path, "same"), String(index));
      return path;
    });
    const target = box.directory("target");
    mountByString(overlay(...overlayOptions({ lower, data: [] }), "ro", "nosuid"), target);
    expect(readdirSync(target)).toHaveLength(151);
    expect(readFileSync(join(target, "same"), "utf8")).toBe("0");
    expect(() => writeFileSync(join(target, "new"), "")).toThrow("EROFS");
  });

  test("what is too long even so is refused and leaves nothing open", () => {
    using box = sandbox();
    const one = box.directory("one".repeat(20));
    const lower = Array.from({ length: 300 }, () => one);
    const before = openDescriptors();
    expect(() => mountByString(overlay(...overlayOptions({ lower, data: [] })), box.directory("target"))).toThrow(
      expect.objectContaining({ code: "ERR_NOT_IMPLEMENTED" }),
    );
    expect(openDescriptors()).toEqual(before);
    expect(box.mountPoints()).toEqual([]);
  });
});
