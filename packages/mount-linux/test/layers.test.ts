import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { overlayDirectories, overlayOptions, withIdMappings } from "@varve/mount";
import type { Mount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
// Reached from inside, because kernels that need this way are older than the one the tests run on.
import { createByString } from "../src/overlay-by-string.ts";
import { parseOptions } from "../src/parsed-options.ts";
import { cannotMount, openDescriptors, sandbox } from "./sandbox.ts";
import type { Sandbox } from "./sandbox.ts";

const mounter = createLinuxMounter();
const overlay = (...options: string[]): Mount => ({ type: "overlay", source: "overlay", options });

/** The kernel takes no more lower directories (OVL_MAX_STACK). */
const MOST = 500;

/** Directories with names of 200 bytes, topmost first; each holds a file of its own and one that all have. */
function layers(box: Sandbox, count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const path = box.directory(`${"n".repeat(196)}-${String(index).padStart(3, "0")}`);
    writeFileSync(join(path, `of-${index}`), String(index));
    writeFileSync(join(path, "shared"), String(index));
    return path;
  });
}

describe.skipIf(cannotMount)("many layers (needs root on Linux)", () => {
  // C09, U-MNT.5
  test("500 with long names are mounted, read right and written above, by one descriptor at a time", async () => {
    using box = sandbox();
    const lower = layers(box, MOST);
    const [target, upper, work] = [box.directory("target"), box.directory("upper"), box.directory("work")];
    const options = overlayOptions({ lower, data: [], upper, work });
    expect(options.join(",").length).toBeGreaterThan(100_000);
    const before = openDescriptors();
    await mounter.mount([overlay(...options)], target);
    expect(readdirSync(target)).toHaveLength(MOST + 1);
    for (let index = 0; index < MOST; index += 1) {
      expect(readFileSync(join(target, `of-${index}`), "utf8")).toBe(String(index));
    }
    expect(readFileSync(join(target, "shared"), "utf8")).toBe("0");
    writeFileSync(join(target, "of-499"), "changed");
    await mounter.unmount(target);
    expect(readFileSync(join(upper, "of-499"), "utf8")).toBe("changed");
    expect(readFileSync(join(lower[499] ?? "", "of-499"), "utf8")).toBe("499");
    expect(openDescriptors()).toEqual(before);
  });

  // C09, U-OVL.11
  test("500 are mounted with ids mapped too", async () => {
    using box = sandbox();
    const lower = layers(box, MOST);
    const target = box.directory("target");
    const before = openDescriptors();
    const mapping = "0:100000:65536";
    const mounts = withIdMappings([overlay(...overlayOptions({ lower, data: [] }))], { uid: mapping, gid: mapping });
    await mounter.mount(mounts, target);
    expect(readdirSync(target)).toHaveLength(MOST + 1);
    expect(readFileSync(join(target, "of-499"), "utf8")).toBe("499");
    await mounter.unmount(target);
    expect(openDescriptors()).toEqual(before);
  });

  // C09
  test("one too many, or too many for an older kernel's one page, is refused clearly and leaves nothing", async () => {
    using box = sandbox();
    const lower = layers(box, MOST);
    const target = box.directory("target");
    const before = openDescriptors();
    const more = overlay(...overlayOptions({ lower: [...lower, box.directory("more")], data: [] }));
    await expect(mounter.mount([more], target)).rejects.toThrow(/more: .*too many lower directories, limit is 500/);
    const mount = overlay(...overlayOptions({ lower, data: [] }));
    expect(() => createByString(mount, parseOptions(mount), overlayDirectories(mount))).toThrow(
      expect.objectContaining({
        code: "ERR_NOT_IMPLEMENTED",
        message: expect.stringMatching(
          /^overlay: 500 lower directories: take [0-9]+ bytes of options, and before Linux 6\.13 there is room for 4095$/,
        ),
      }),
    );
    expect(openDescriptors()).toEqual(before);
    expect(box.mountPoints()).toEqual([]);
  });

  // C04
  test("what is mounted stays whole while its directories are renamed away, and comes off after they are", async () => {
    using box = sandbox();
    const [a, b, target] = [box.directory("1/fs"), box.directory("2/fs"), box.directory("target")];
    const [upper, work] = [box.directory("3/fs"), box.directory("3/work")];
    writeFileSync(join(a, "a"), "a");
    mkdirSync(join(b, "deep"));
    writeFileSync(join(b, "deep/b"), "b");
    await mounter.mount([overlay(...overlayOptions({ lower: [a, b], data: [], upper, work }))], target);
    for (const name of ["1", "2", "3"]) renameSync(join(box.path, name), join(box.path, `rm-${name}`));
    expect(readFileSync(join(target, "a"), "utf8")).toBe("a");
    writeFileSync(join(target, "deep/b"), "changed");
    expect(readdirSync(join(target, "deep"))).toEqual(["b"]);
    await mounter.unmount(target);
    expect(readFileSync(join(box.path, "rm-3/fs/deep/b"), "utf8")).toBe("changed");
    expect(existsSync(join(target, "a"))).toBe(false);
  });
});
