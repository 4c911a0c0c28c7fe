import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Mount } from "@varve/mount";
import { overlayOptions, withTemporaryMount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { cannotMount, openDescriptors, sandbox } from "./sandbox.ts";

const mounter = createLinuxMounter();
const bind = (source: string, ...options: string[]): Mount => ({ type: "bind", source, options });
const overlay = (...options: string[]): Mount => ({ type: "overlay", source: "overlay", options });

describe.skipIf(cannotMount)("mounting (needs root on Linux)", () => {
  test("a bind mount shows the source and takes writes", async () => {
    using box = sandbox();
    const [source, target] = [box.directory("source"), box.directory("target")];
    await mounter.mount([bind(source, "rbind", "rw")], target);
    writeFileSync(join(target, "file"), "content");
    expect(readFileSync(join(source, "file"), "utf8")).toBe("content");
    await mounter.unmount(target);
    expect(readdirSync(target)).toEqual([]);
    expect(box.mountPoints()).toEqual([]);
  });

  test("a read-only bind mount refuses writes, also in the mounts of its tree", async () => {
    using box = sandbox();
    const [source, target] = [box.directory("source"), box.directory("target")];
    await mounter.mount([{ type: "tmpfs", source: "tmpfs", options: [] }], box.directory("source/inner"));
    await mounter.mount([bind(source, "rbind,ro")], target);
    expect(() => writeFileSync(join(target, "file"), "")).toThrow("EROFS");
    expect(() => writeFileSync(join(target, "inner/file"), "")).toThrow("EROFS");
    writeFileSync(join(source, "inner/file"), "");
    await mounter.unmount(target);
    // The tree's copy was unmounted and the original was not.
    expect(box.mountPoints()).toEqual(["source/inner"]);
  });

  test("unmounting a copied tree leaves the originals also where those are shared", async () => {
    using box = sandbox();
    const source = box.directory("source");
    await mounter.mount([{ type: "tmpfs", source: "tmpfs", options: ["shared"] }], source);
    await mounter.mount([{ type: "tmpfs", source: "tmpfs", options: [] }], box.directory("source/inner"));
    const target = box.directory("target");
    await mounter.mount([bind(source, "rbind")], target);
    expect(box.mountPoints()).toEqual(["source", "source/inner", "target", "target/inner"]);
    await mounter.unmount(target);
    expect(box.mountPoints()).toEqual(["source", "source/inner"]);
  });

  test("a bind mount without its tree leaves the tree's mounts out", async () => {
    using box = sandbox();
    await mounter.mount([{ type: "tmpfs", source: "tmpfs", options: [] }], box.directory("source/inner"));
    await mounter.mount([bind(join(box.path, "source"), "bind")], box.directory("target"));
    expect(box.mountPoints()).toEqual(["source/inner", "target"]);
  });

  test("an overlay merges, hides whiteouts and keeps writes in the upper directory", async () => {
    using box = sandbox();
    const [a, b, upper, work] = [box.directory("a"), box.directory("b"), box.directory("upper"), box.directory("work")];
    writeFileSync(join(a, "top"), "a");
    writeFileSync(join(b, "top"), "b");
    writeFileSync(join(b, "bottom"), "b");
    const target = box.directory("target");
    await mounter.mount([overlay("index=off", ...overlayOptions({ lower: [a, b], data: [], upper, work }))], target);
    expect(readFileSync(join(target, "top"), "utf8")).toBe("a");
    writeFileSync(join(target, "new"), "");
    execFileSync("rm", [join(target, "bottom")]);
    expect(readdirSync(target).toSorted()).toEqual(["new", "top"]);
    await mounter.unmount(target);
    expect(readdirSync(upper).toSorted()).toEqual(["bottom", "new"]);
    expect(readdirSync(b).toSorted()).toEqual(["bottom", "top"]);
  });

  test("an overlay's directories may have commas, colons, backslashes and spaces in their names", async () => {
    using box = sandbox();
    const names = ["a,ro", "b:c", String.raw`d\e`, "f g", "upper,x", "work:y"];
    const [a = "", b = "", d = "", f = "", upper, work] = names.map((name) => box.directory(name));
    for (const [index, path] of [a, b, d, f].entries()) writeFileSync(join(path, `from-${index}`), "");
    const target = box.directory("target");
    await mounter.mount([overlay(...overlayOptions({ lower: [a, b, d, f], data: [], upper, work }))], target);
    expect(readdirSync(target).toSorted()).toEqual(["from-0", "from-1", "from-2", "from-3"]);
    writeFileSync(join(target, "new"), "");
    expect(existsSync(join(upper ?? "", "new"))).toBe(true);
  });

  // U-MNT.5
  test("an overlay of 200 layers with names of 200 bytes is mounted", async () => {
    using box = sandbox();
    const lower = Array.from({ length: 200 }, (_, index) => {
      const path = box.directory(`${"x".repeat(200)}-${index}`);
      writeFileSync(join(path, `file-${index}`), String(index));
      writeFileSync(join(path, "same"), String(index));
      return path;
    });
    const target = box.directory("target");
    await mounter.mount([overlay(...overlayOptions({ lower, data: [] }))], target);
    expect(readdirSync(target)).toHaveLength(201);
    expect(readFileSync(join(target, "same"), "utf8")).toBe("0");
  });

  test("more layers than the kernel takes are refused with the kernel's explanation", async () => {
    using box = sandbox();
    const one = box.directory("one");
    const lower = Array.from({ length: 501 }, () => one);
    await expect(
      mounter.mount([overlay(...overlayOptions({ lower, data: [] }))], box.directory("target")),
    ).rejects.toThrow(/^mount .*target: overlay: lowerdir .*one: .*too many lower directories, limit is 500/);
  });

  // U-MNT.8
  test("options for containerd do not reach the kernel, and unknown ones are refused by name", async () => {
    using box = sandbox();
    const target = box.directory("target");
    await mounter.mount([{ type: "tmpfs", source: "tmpfs", options: ["X-containerd.note=1", "size=64k"] }], target);
    expect(() => writeFileSync(join(target, "big"), Buffer.alloc(100_000))).toThrow("ENOSPC");
    await mounter.unmount(target);
    const unknown = mounter.mount([{ type: "tmpfs", source: "tmpfs", options: ["colour=red"] }], target);
    await expect(unknown).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: expect.stringMatching(/target: tmpfs: option colour: .*Unknown parameter 'colour'/),
    });
    await expect(mounter.mount([bind(target, "bind", "size=1")], target)).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
    });
  });

  test("later elements are mounted inside the earlier ones, and all of them are taken off", async () => {
    using box = sandbox();
    const [source, target] = [box.directory("source"), box.directory("target")];
    mkdirSync(join(source, "proc/deep"), { recursive: true });
    symlinkSync("/proc", join(source, "link"));
    const tmpfs: Mount = { type: "tmpfs", source: "tmpfs", options: ["nosuid", "noexec"] };
    await mounter.mount(
      [bind(source, "rbind"), { ...tmpfs, target: "link/deep" }, { ...tmpfs, target: "/proc" }],
      target,
    );
    expect(box.mountPoints()).toEqual(["target", "target/proc", "target/proc/deep"]);
    await mounter.unmount(target);
    expect(box.mountPoints()).toEqual([]);
  });

  test("a later element without a target covers the earlier ones, and unmounting takes both", async () => {
    using box = sandbox();
    const [a, b, target] = [box.directory("a"), box.directory("b"), box.directory("target")];
    writeFileSync(join(b, "top"), "");
    await mounter.mount([bind(a, "bind"), bind(b, "bind")], target);
    expect(readdirSync(target)).toEqual(["top"]);
    expect(box.mountPoints()).toEqual(["target", "target"]);
    await mounter.unmount(target);
    expect(box.mountPoints()).toEqual([]);
  });

  test("when one element fails, none of the list stays mounted", async () => {
    using box = sandbox();
    const [source, target] = [box.directory("source"), box.directory("target")];
    mkdirSync(join(source, "inner"));
    const list = [bind(source, "rbind"), { ...bind(source, "bind"), target: "inner" }, bind(join(box.path, "missing"))];
    await expect(mounter.mount(list, target)).rejects.toMatchObject({
      code: "ERR_NOT_FOUND",
      message: expect.stringMatching(/^mount .*target: bind: source .*missing: ENOENT/),
    });
    expect(box.mountPoints()).toEqual([]);
  });

  test("a target that is a link is refused, and one that is missing is not found", async () => {
    using box = sandbox();
    const [source, real] = [box.directory("source"), box.directory("real")];
    symlinkSync(real, join(box.path, "link"));
    await expect(mounter.mount([bind(source)], join(box.path, "link"))).rejects.toMatchObject({
      code: "ERR_FAILED_PRECONDITION",
      message: `mount target ${box.path}/link: is a symbolic link`,
    });
    await expect(
      mounter.mount([bind(source)], box.directory("real/below").replace("real", "link")),
    ).rejects.toMatchObject({
      code: "ERR_FAILED_PRECONDITION",
      message: `mount target ${box.path}/link/below: a symbolic link is on the way to it`,
    });
    await expect(mounter.mount([bind(source)], join(box.path, "none"))).rejects.toMatchObject({
      code: "ERR_NOT_FOUND",
    });
    expect(box.mountPoints()).toEqual([]);
  });

  test("a link in the image cannot lead a later element outside the target", async () => {
    using box = sandbox();
    const [source, target, outside] = [box.directory("source"), box.directory("target"), box.directory("outside")];
    symlinkSync(outside, join(source, "escape"));
    symlinkSync("../../outside", join(source, "climb"));
    for (const name of ["escape", "climb", "../outside"]) {
      const list = [bind(source, "rbind"), { ...bind(source), target: name }];
      await expect(mounter.mount(list, target)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
    }
    expect(box.mountPoints()).toEqual([]);
  });

  // U-MNT.9
  test.each([
    [{ type: "format/overlay", source: "x", options: [] }, "mount type format/overlay: needs a mount manager"],
    [{ type: "nosuchfs", source: "x", options: [] }, "filesystem nosuchfs"],
  ])("what needs more than this kernel is not implemented: %j", async (mount: Mount, message) => {
    using box = sandbox();
    await expect(mounter.mount([mount], box.directory("target"))).rejects.toMatchObject({
      code: "ERR_NOT_IMPLEMENTED",
      message: expect.stringContaining(message),
    });
  });

  test("without the privilege the error says so and nothing is mounted", async () => {
    using box = sandbox();
    const target = box.directory("target");
    try {
      process.seteuid?.(65_534);
      for (const mount of [bind("/"), overlay("lowerdir=/:/usr"), { type: "tmpfs", source: "", options: [] }]) {
        await expect(mounter.mount([mount], target)).rejects.toMatchObject({ code: "ERR_PERMISSION_DENIED" });
      }
    } finally {
      process.seteuid?.(0);
    }
    expect(box.mountPoints()).toEqual([]);
  });

  test("an abort before the first element mounts nothing", async () => {
    using box = sandbox();
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    await expect(mounter.mount([bind(box.path)], box.directory("target"), { signal })).rejects.toBe(reason);
    await expect(mounter.unmount(join(box.path, "target"), { signal })).rejects.toBe(reason);
    expect(box.mountPoints()).toEqual([]);
  });

  test("no descriptor is left open, whether mounting succeeds or fails", async () => {
    using box = sandbox();
    const [source, target] = [box.directory("source"), box.directory("target")];
    const before = openDescriptors();
    const inner = { ...bind(source), target: "missing" };
    await expect(mounter.mount([bind(source), inner], target)).rejects.toThrow("mount target missing");
    await expect(mounter.mount([overlay("lowerdir=/none:/nope")], target)).rejects.toMatchObject({
      code: "ERR_NOT_FOUND",
    });
    await mounter.mount([bind(source), bind(source)], target);
    await mounter.unmount(target);
    expect(openDescriptors()).toEqual(before);
  });

  // U-MNT.4
  test("a temporary mount of a real overlay leaves nothing, and the files stay", async () => {
    using box = sandbox();
    const [lower, upper, work] = [box.directory("lower"), box.directory("upper"), box.directory("work")];
    const options = ["volatile", ...overlayOptions({ lower: [lower], data: [], upper, work })];
    const directory = box.directory("temporary");
    for (const name of ["first", "second"]) {
      await withTemporaryMount(
        mounter,
        [overlay(...options)],
        async (root) => {
          writeFileSync(join(root, name), "");
        },
        { directory },
      );
    }
    expect(readdirSync(upper).toSorted()).toEqual(["first", "second"]);
    expect(readdirSync(directory)).toEqual([]);
    expect(box.mountPoints()).toEqual([]);
  });
});
