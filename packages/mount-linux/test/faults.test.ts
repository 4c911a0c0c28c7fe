import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { overlayOptions, withTemporaryMount } from "@varve/mount";
import type { Mount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { cannotMakeExt4, loopDevices, makeExt4, shutDown } from "./disk-image.ts";
import { cannotMount, openDescriptors, sandbox } from "./sandbox.ts";
import type { Sandbox } from "./sandbox.ts";

const mounter = createLinuxMounter();
const overlay = (...options: string[]): Mount => ({ type: "overlay", source: "overlay", options });

interface Disk {
  readonly path: string;
  readonly options: readonly string[];
}

/** An ext4 on a loop device with the directories of an overlay. */
async function disk(box: Sandbox): Promise<Disk> {
  const image = join(box.path, "image");
  makeExt4(image);
  const path = box.directory("disk");
  await mounter.mount([{ type: "ext4", source: image, options: ["loop"] }], path);
  const [lower = "", upper, work] = ["lower", "upper", "work"].map((name) => box.directory(`disk/${name}`));
  writeFileSync(join(lower, "file"), "content");
  return { path, options: overlayOptions({ lower: [lower], data: [], upper, work }) };
}

// P06
describe.skipIf(cannotMount || cannotMakeExt4)("a disk that is gone (needs root on Linux and mkfs.ext4)", () => {
  test("below an overlay that is mounted fails what is written, and everything comes off", async () => {
    using box = sandbox();
    const { path, options } = await disk(box);
    const target = box.directory("target");
    await mounter.mount([overlay(...options)], target);
    shutDown(path);
    expect(() => writeFileSync(join(target, "new"), "content")).toThrow(/EIO/);
    await mounter.unmount(target);
    await mounter.unmount(path);
    expect(box.mountPoints()).toEqual([]);
    expect(loopDevices(box.path)).toEqual([]);
  });

  test("is an input/output error of the overlay that is to be mounted on it, and leaves nothing", async () => {
    using box = sandbox();
    const { path, options } = await disk(box);
    const target = box.directory("target");
    shutDown(path);
    const before = openDescriptors();
    await expect(mounter.mount([overlay(...options)], target)).rejects.toMatchObject({
      code: "EIO",
      message: expect.stringMatching(/^mount .*target: overlay: workdir .*disk\/work: EIO: i\/o error/),
    });
    expect(openDescriptors()).toEqual(before);
    expect(box.mountPoints()).toEqual(["disk"]);
    await mounter.unmount(path);
    expect(loopDevices(box.path)).toEqual([]);
  });

  test("or full keeps an overlay from being mounted for writing, instead of it being read-only unasked", async () => {
    using box = sandbox();
    await mounter.mount([{ type: "tmpfs", source: "tmpfs", options: ["nr_inodes=5"] }], box.directory("full"));
    const [lower = "", upper, work] = ["lower", "upper", "work"].map((name) => box.directory(`full/${name}`));
    writeFileSync(join(lower, "last"), "");
    const [options, target] = [overlayOptions({ lower: [lower], data: [], upper, work }), box.directory("target")];
    await expect(mounter.mount([overlay(...options)], target)).rejects.toMatchObject({
      code: "ENOSPC",
      message: expect.stringContaining("full/work: ENOSPC: no space left on device"),
    });
    expect(box.mountPoints()).toEqual(["full"]);
    await mounter.mount([overlay(...options, "ro")], target);
    expect(existsSync(join(target, "last"))).toBe(true);
  });

  test("during a temporary mount lets that come off all the same", async () => {
    using box = sandbox();
    const { path, options } = await disk(box);
    const body = async (root: string): Promise<void> => {
      expect(readFileSync(join(root, "file"), "utf8")).toBe("content");
      shutDown(path);
      writeFileSync(join(root, "new"), "content");
    };
    const directory = box.directory("temporary");
    await expect(withTemporaryMount(mounter, [overlay(...options)], body, { directory })).rejects.toThrow(/EIO/);
    expect(box.mountPoints()).toEqual(["disk"]);
    await mounter.unmount(path);
    expect(loopDevices(box.path)).toEqual([]);
  });
});
