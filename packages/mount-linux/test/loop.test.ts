import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Mount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { cannotMakeExt4, loopDevices, makeExt4 } from "./disk-image.ts";
import { cannotMount, openDescriptors, sandbox } from "./sandbox.ts";

const mounter = createLinuxMounter();
const program = new URL("loop-child.ts", import.meta.url).pathname;
const loop = (source: string, ...options: string[]): Mount => ({ type: "ext4", source, options: ["loop", ...options] });

// U-MNT.7
describe.skipIf(cannotMount || cannotMakeExt4)("image files (needs root on Linux and mkfs.ext4)", () => {
  test("an image is attached for as long as it is mounted, and what is written is in it", async () => {
    using box = sandbox();
    const [image, target] = [join(box.path, "image"), box.directory("target")];
    makeExt4(image);
    const before = openDescriptors();
    await mounter.mount([loop(image)], target);
    writeFileSync(join(target, "file"), "content");
    expect(loopDevices(box.path)).toHaveLength(1);
    await mounter.unmount(target);
    expect(loopDevices(box.path)).toEqual([]);
    await mounter.mount([loop(image, "ro")], target);
    expect(readFileSync(join(target, "file"), "utf8")).toBe("content");
    expect(() => writeFileSync(join(target, "file"), "")).toThrow("EROFS");
    expect(readFileSync(`/sys/block/${loopDevices(box.path)[0]}/ro`, "utf8").trim()).toBe("1");
    await mounter.unmount(target);
    expect(loopDevices(box.path)).toEqual([]);
    expect(openDescriptors()).toEqual(before);
  });

  test("an image that cannot be written is mounted for reading", async () => {
    using box = sandbox();
    const image = join(box.directory("images"), "image");
    makeExt4(image);
    await mounter.mount(
      [{ type: "bind", source: join(box.path, "images"), options: ["ro"] }],
      box.directory("protected"),
    );
    const target = box.directory("target");
    await mounter.mount([loop(join(box.path, "protected/image"))], target);
    expect(() => writeFileSync(join(target, "file"), "")).toThrow("EROFS");
    await mounter.unmount(target);
    await mounter.unmount(join(box.path, "protected"));
    expect(loopDevices(box.path)).toEqual([]);
  });

  test("an image inside a file is found by its offset", async () => {
    using box = sandbox();
    const [image, target] = [join(box.path, "image"), box.directory("target")];
    makeExt4(image, 1_048_576);
    await mounter.mount([{ type: "ext4", source: image, options: ["offset=1048576,sizelimit=16777216"] }], target);
    mkdirSync(join(target, "inside"));
    await mounter.unmount(target);
    const wrong = mounter.mount([loop(image, "offset=4096")], target);
    await expect(wrong).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    await expect(mounter.mount([loop(image, "offset=1k")], target)).rejects.toThrow(
      "offset=1k: must be a number of bytes",
    );
    expect(loopDevices(box.path)).toEqual([]);
  });

  test("a mount that fails leaves no device, and says which image", async () => {
    using box = sandbox();
    const [image, target] = [join(box.path, "image"), box.directory("target")];
    writeFileSync(image, Buffer.alloc(1024 * 1024));
    const before = openDescriptors();
    for (const mount of [loop(image), loop(image, "colour=red"), { ...loop(image), type: "nosuchfs" }]) {
      await expect(mounter.mount([mount], target)).rejects.toThrow(`mount ${target}: loop: source ${image}: `);
      expect(loopDevices(box.path)).toEqual([]);
    }
    // A later element fails when the image is mounted already.
    makeExt4(image);
    const missing: Mount = { type: "bind", source: join(box.path, "missing"), options: [] };
    await expect(mounter.mount([loop(image), missing], target)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
    expect(loopDevices(box.path)).toEqual([]);
    expect(openDescriptors()).toEqual(before);
  });

  test("what is no file is refused before anything waits for it", async () => {
    using box = sandbox();
    const target = box.directory("target");
    symlinkSync("/dev/null", join(box.path, "null"));
    for (const source of [box.directory("directory"), join(box.path, "null")]) {
      await expect(mounter.mount([loop(source)], target)).rejects.toMatchObject({
        code: "ERR_INVALID_ARGUMENT",
        message: `mount ${target}: loop: source ${source}: not a file`,
      });
    }
    await expect(mounter.mount([loop(join(box.path, "missing"))], target)).rejects.toMatchObject({
      code: "ERR_NOT_FOUND",
    });
  });

  test("another process that takes the free device first does no harm", { timeout: 120_000 }, async () => {
    using box = sandbox();
    for (const name of ["ours", "theirs", "theirs2"]) makeExt4(join(box.path, name));
    const [target, ...others] = ["target", "other", "other2"].map((name) => box.directory(name));
    const children = ["theirs", "theirs2"].map((name, index) => {
      const parameters = ["--no-warnings", program, join(box.path, name), others[index] ?? ""];
      return spawn(process.execPath, parameters, { stdio: ["ignore", "pipe", "pipe"] });
    });
    let complaints = "";
    for (const child of children) child.stderr.on("data", (text: Buffer) => (complaints += text.toString()));
    await Promise.all(children.map((child) => once(child.stdout, "data")));
    for (let round = 0; round < 100; round += 1) {
      await mounter.mount([loop(join(box.path, "ours"))], target ?? "");
      await mounter.unmount(target ?? "");
    }
    expect(children.map((child) => child.exitCode)).toEqual([null, null]);
    const ended = children.map((child) => once(child, "exit"));
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(ended);
    expect(complaints).toBe("");
  });

  test("many at once get a device each", async () => {
    using box = sandbox();
    const targets = [1, 2, 3, 4, 5, 6].map((n) => box.directory(`target${n}`));
    for (const [n] of targets.entries()) makeExt4(join(box.path, `image${n}`));
    chmodSync(join(box.path, "image0"), 0o400);
    await Promise.all(targets.map((target, n) => mounter.mount([loop(join(box.path, `image${n}`))], target)));
    expect(new Set(loopDevices(box.path)).size).toBe(6);
    await Promise.all(targets.map((target) => mounter.unmount(target)));
    expect(loopDevices(box.path)).toEqual([]);
  });
});
