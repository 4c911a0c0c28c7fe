import { renameSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { overlayDirectories } from "@varve/mount";
import type { Mount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
// Reached from inside, because kernels that need this way are older than the one the tests run on.
import { createByString } from "../src/overlay-by-string.ts";
import { parseOptions } from "../src/parsed-options.ts";
import { cannotMount, openDescriptors, sandbox } from "./sandbox.ts";

const mounter = createLinuxMounter();
const parts = ["fs", "work", "lower"] as const;

function bindOf(root: string): readonly [Mount] {
  return [{ type: "bind", source: join(root, "fs"), options: ["rw", "rbind"] }];
}

function overlayOf(root: string, ...more: string[]): readonly [Mount] {
  const directories = [`workdir=${root}/work`, `upperdir=${root}/fs`, `lowerdir=${root}/lower`];
  return [{ type: "overlay", source: "overlay", options: [...directories, ...more] }];
}

const mounts = {
  bind: bindOf,
  overlay: overlayOf,
  mapped: (root: string) => overlayOf(root, "uidmap=0:5:9", "gidmap=0:5:9"),
};

// K21: whoever can put a link in the place of a snapshot's directory, or above it, must not choose what is written to.
describe.skipIf(cannotMount)("what is shown elsewhere (needs root on Linux)", () => {
  const cases = [
    ["bind", "."],
    ["bind", "fs"],
    ["overlay", "."],
    ["overlay", "fs"],
    ["overlay", "work"],
    ["overlay", "lower"],
    ["mapped", "."],
    ["mapped", "fs"],
    ["mapped", "work"],
    ["mapped", "lower"],
  ] as const;
  test.each(cases)("a %s with a link at %s is refused, and nothing is left", async (type, part) => {
    using box = sandbox();
    const [root, target] = [box.directory("root"), box.directory("target")];
    for (const name of parts) box.directory(`root/${name}`);
    const place = join(root, part);
    renameSync(place, join(box.path, "elsewhere"));
    symlinkSync(join(box.path, "elsewhere"), place);
    const before = openDescriptors();
    await expect(mounter.mount(mounts[type](root), target)).rejects.toMatchObject({
      code: "ERR_FAILED_PRECONDITION",
      message: expect.stringContaining("a symbolic link is on the way to it"),
    });
    expect(openDescriptors()).toEqual(before);
    expect(box.mountPoints()).toEqual([]);
  });

  test("kernels before 6.13 are not handed a link either", () => {
    using box = sandbox();
    const root = box.directory("root");
    for (const name of parts) box.directory(`root/${name}`);
    symlinkSync(root, join(box.path, "link"));
    const [mount] = overlayOf(join(box.path, "link"));
    const before = openDescriptors();
    expect(() => createByString(mount, parseOptions(mount), overlayDirectories(mount))).toThrow("a symbolic link is");
    expect(openDescriptors()).toEqual(before);
  });
});
