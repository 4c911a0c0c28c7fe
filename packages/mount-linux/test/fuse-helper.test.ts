import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, test, vi } from "vitest";
import { temporaryMountPrefix } from "@varve/mount";
import type { Mount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { cannotMount, openDescriptors, sandbox } from "./sandbox.ts";
import type { Sandbox } from "./sandbox.ts";

const descriptorsChild = new URL("descriptors-child.ts", import.meta.url).pathname;
const mounter = createLinuxMounter();
const fuse: Mount = { type: "fuse3.image", source: "/the/image", options: ["ro", "uid=0,X-containerd.x", "private"] };

/** Puts a program in place of mount.fuse3, which mounts a tmpfs when the script lets it, and notes its arguments. */
function helper(box: Sandbox, script: string): void {
  const lines = ["#!/bin/sh", `printf '%s\\n' "$@" >> ${box.path}/called`, script];
  writeFileSync(join(box.directory("bin"), "mount.fuse3"), lines.join("\n"), { mode: 0o755 });
  vi.stubEnv("PATH", `${box.path}/bin:${process.env["PATH"]}`);
}

/** The directories in which helpers mount, which are gone afterwards. */
function aside(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith(basename(temporaryMountPrefix())));
}

afterEach(() => {
  vi.unstubAllEnvs();
});

// U-MNT.7
describe.skipIf(cannotMount)("types with a helper program (needs root on Linux)", () => {
  test("the program mounts beside the target, and its mount is moved there", async () => {
    using box = sandbox();
    helper(box, 'mount -t tmpfs helped "$2" && echo > "$2/file"');
    const target = box.directory("target");
    const before = openDescriptors();
    await mounter.mount([fuse], target);
    expect(existsSync(join(target, "file"))).toBe(true);
    const [source, place, ...rest] = readFileSync(join(box.path, "called"), "utf8").trim().split("\n");
    expect([source, rest.join(" ")]).toEqual(["/the/image", "-o ro -o uid=0 -t image"]);
    expect(place).not.toContain(box.path);
    expect(box.mountPoints()).toEqual(["target"]);
    await mounter.unmount(target);
    expect(box.mountPoints()).toEqual([]);
    expect(aside()).toEqual([]);
    expect(openDescriptors()).toEqual(before);
  });

  test("a later element that fails takes the helper's mount off again", async () => {
    using box = sandbox();
    helper(box, 'mount -t tmpfs helped "$2"');
    const missing: Mount = { type: "bind", source: join(box.path, "missing"), options: [] };
    const before = openDescriptors();
    await expect(mounter.mount([fuse, missing], box.directory("target"))).rejects.toMatchObject({
      code: "ERR_NOT_FOUND",
    });
    expect(box.mountPoints()).toEqual([]);
    expect(openDescriptors()).toEqual(before);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(" helped ");
  });

  test("ids are mapped, and `ro` and `noatime` hold, whatever the program does with its options", async () => {
    using box = sandbox();
    helper(box, 'mount -t tmpfs helped "$2" && echo > "$2/file"');
    const target = box.directory("target");
    const options = ["ro,noatime", "uidmap=0:1000:1", "gidmap=0:2000:1"];
    await mounter.mount([{ ...fuse, options }], target);
    expect(statSync(join(target, "file"))).toMatchObject({ uid: 1000, gid: 2000 });
    expect(() => writeFileSync(join(target, "file"), "")).toThrow("EROFS");
    expect(readFileSync("/proc/self/mountinfo", "utf8")).toMatch(new RegExp(` ${target} ro,noatime`));
    // A remount is not the program's business.
    writeFileSync(join(box.path, "called"), "");
    await mounter.mount([{ ...fuse, options: ["remount", "bind", "rw"] }], target);
    await mounter.mount([{ ...fuse, options: ["remount", "nosuid"] }], target);
    writeFileSync(join(target, "file"), "");
    expect(readFileSync(join(box.path, "called"), "utf8")).toBe("");
  });

  test("what the program says when it fails is the error", async () => {
    using box = sandbox();
    helper(box, "echo 'image: no such thing' >&2; exit 1");
    const target = box.directory("target");
    await expect(mounter.mount([fuse], target)).rejects.toMatchObject({
      code: "ERR_UNAVAILABLE",
      message: `mount ${target}: mount type fuse3.image: mount.fuse3: image: no such thing`,
    });
    helper(box, "exit 0");
    await expect(mounter.mount([fuse], target)).rejects.toThrow("mounted nothing");
    // Another process keeps the pipe open.
    const endless = `sleep 600 & echo $! > ${box.path}/pid; echo 'no such image' >&2; exit 1`;
    helper(box, endless);
    await expect(mounter.mount([fuse], target)).rejects.toThrow("no such image");
    process.kill(Number(readFileSync(join(box.path, "pid"), "utf8")));
    expect(aside()).toEqual([]);
  });

  test("a helper that lost its child is run again, ten times", async () => {
    using box = sandbox();
    const target = box.directory("target");
    const lost = "echo 'wait: No child processes' >&2; exit 1";
    helper(
      box,
      `if [ -e ${box.path}/once ]; then mount -t tmpfs helped "$2"; else echo > ${box.path}/once; ${lost}; fi`,
    );
    await mounter.mount([fuse], target);
    await mounter.unmount(target);
    helper(box, `mount -t tmpfs helped "$2"; ${lost}`);
    await mounter.mount([fuse], target);
    await mounter.unmount(target);
    writeFileSync(join(box.path, "called"), "");
    helper(box, lost);
    await expect(mounter.mount([fuse], target)).rejects.toThrow("No child processes");
    expect(readFileSync(join(box.path, "called"), "utf8").match(/the\/image/g)).toHaveLength(10);
    expect(aside()).toEqual([]);
  });

  test("an abort ends the helper and leaves nothing", async () => {
    using box = sandbox();
    helper(box, `mount -t tmpfs helped "$2"; echo > ${box.path}/started; exec sleep 600`);
    const controller = new AbortController();
    const done = mounter.mount([fuse], box.directory("target"), { signal: controller.signal });
    const reason = new Error("enough");
    const started = vi.waitUntil(() => existsSync(join(box.path, "started")), { timeout: 30_000 });
    await started.then(() => controller.abort(reason));
    await expect(done).rejects.toBe(reason);
    expect(box.mountPoints()).toEqual([]);
    expect(aside()).toEqual([]);
  });

  test("a process that may open no more files fails with that, and goes on", async () => {
    using box = sandbox();
    helper(box, 'mount -t tmpfs helped "$2"');
    const parameters = ["--no-warnings", descriptorsChild, box.directory("target")];
    const { stdout } = await promisify(execFile)("prlimit", ["--nofile=64", process.execPath, ...parameters]);
    expect(stdout).toBe("EMFILE EMFILE\n");
    expect(aside()).toEqual([]);
  });

  test("without the program the error says which one is missing", async () => {
    using box = sandbox();
    const type = "fuse.nothing";
    await expect(mounter.mount([{ ...fuse, type }], box.directory("target"))).rejects.toMatchObject({
      code: "ERR_NOT_IMPLEMENTED",
      message: expect.stringContaining("needs the program mount.fuse, which is not installed"),
    });
    expect(aside()).toEqual([]);
  });
});
