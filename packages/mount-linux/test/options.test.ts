import { execFileSync } from "node:child_process";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Mount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { cannotMount, sandbox } from "./sandbox.ts";
import type { Sandbox } from "./sandbox.ts";

const mounter = createLinuxMounter();
const tmpfs = (...options: string[]): Mount => ({ type: "tmpfs", source: "tmpfs", options });
const bind = (source: string, ...options: string[]): Mount => ({ type: "bind", source, options });

interface TableLine {
  readonly options: readonly string[];
  readonly propagation: string;
  readonly filesystem: readonly string[];
}

/** What the kernel says of the topmost mount at a directory of the sandbox. */
function lineOf(box: Sandbox, name: string): TableLine {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const line = lines.findLast((text) => text.split(" ")[4] === join(box.path, name)) ?? "";
  const [before = "", after = ""] = line.split(" - ");
  const fields = before.split(" ");
  return {
    options: fields[5]?.split(",") ?? [],
    propagation: fields
      .slice(6)
      .join(" ")
      .replaceAll(/[0-9]+/g, "N")
      .trim(),
    filesystem: after.split(" ")[2]?.split(",") ?? [],
  };
}

// U-MNT.1, U-MNT.8
describe.skipIf(cannotMount)("options as of mount(8) (needs root on Linux)", () => {
  test.each([
    [[], "rw relatime"],
    [["defaults"], "rw relatime"],
    [["ro"], "ro relatime"],
    [["ro,rw"], "rw relatime"],
    [["nosuid", "nodev", "noexec"], "rw nosuid nodev noexec relatime"],
    [["nosuid,nodev,noexec", "suid,dev,exec"], "rw relatime"],
    [["noatime"], "rw noatime"],
    [["noatime,relatime"], "rw relatime"],
    [["strictatime"], "rw"],
    [["strictatime,noatime"], "rw noatime"],
    [["nodiratime"], "rw nodiratime relatime"],
    [["nodiratime,diratime"], "rw relatime"],
    [["nosymfollow"], "rw relatime nosymfollow"],
    [["user"], "rw nosuid nodev noexec relatime"],
    [["users,exec"], "rw nosuid nodev relatime"],
    [["owner"], "rw nosuid nodev relatime"],
    [["auto,nofail,_netdev,comment=x,x-systemd.automount,X-containerd.a=b,x-gvfs-hide,nouser"], "rw relatime"],
  ])("%j of a filesystem and of a bind mount is %s", async (options, expected) => {
    using box = sandbox();
    await mounter.mount([tmpfs(...options)], box.directory("target"));
    expect(lineOf(box, "target").options.toSorted()).toEqual(expected.split(" ").toSorted());
    await mounter.mount([bind(box.directory("source"), ...options)], box.directory("copy"));
    expect(lineOf(box, "copy").options.toSorted()).toEqual(expected.split(" ").toSorted());
    // Only what is mounted is read-only, not where it comes from.
    writeFileSync(join(box.path, "source/file"), "");
  });

  test.each([
    ["private", ""],
    ["rprivate", ""],
    ["shared", "shared:N"],
    ["rshared", "shared:N"],
    ["slave", ""],
    ["shared,slave", ""],
    ["unbindable", "unbindable"],
    ["runbindable", "unbindable"],
  ])("%s is put into force after the mount", async (option, expected) => {
    using box = sandbox();
    await mounter.mount([tmpfs(option)], box.directory("target"));
    expect(lineOf(box, "target").propagation).toBe(expected);
  });

  test("options of the filesystem reach it, and a link is not followed where that is asked for", async () => {
    using box = sandbox();
    const target = box.directory("target");
    await mounter.mount([tmpfs("size=64k,nr_inodes=8", "nosymfollow,mode=0700")], target);
    expect(lineOf(box, "target").filesystem).toEqual(expect.arrayContaining(["size=64k", "nr_inodes=8", "mode=700"]));
    writeFileSync(join(target, "file"), "");
    symlinkSync("file", join(target, "link"));
    expect(() => readFileSync(join(target, "link"))).toThrow("ELOOP");
  });

  test.each(["move", "loop=/dev/loop0", "encryption=aes", "X-mount.mkdir", "X-mount.idmap=0:1:2"])(
    "%s is refused: it would be another mount without it",
    async (option) => {
      using box = sandbox();
      await expect(mounter.mount([tmpfs(option)], box.directory("target"))).rejects.toMatchObject({
        code: "ERR_NOT_IMPLEMENTED",
        message: expect.stringContaining(`mount option ${option}: not supported`),
      });
      expect(box.mountPoints()).toEqual([]);
    },
  );

  test("a bind remount changes what it names, of this mount only", async () => {
    using box = sandbox();
    const [source, target] = [box.directory("source"), box.directory("target")];
    await mounter.mount([tmpfs("nosuid")], source);
    await mounter.mount([bind(source, "noexec"), bind("", "bind,remount,ro")], target);
    expect(lineOf(box, "target").options.toSorted()).toEqual(["noexec", "nosuid", "relatime", "ro"]);
    writeFileSync(join(source, "file"), "");
    expect(() => writeFileSync(join(target, "file"), "")).toThrow("EROFS");
    await mounter.mount([bind("", "remount,rw,exec,noatime")], target);
    expect(lineOf(box, "target").options.toSorted()).toEqual(["noatime", "nosuid", "rw"]);
    writeFileSync(join(target, "file"), "");
    expect(box.mountPoints()).toEqual(["source", "target"]);
  });

  test("a remount of a tree changes every mount of it", async () => {
    using box = sandbox();
    await mounter.mount([tmpfs()], box.directory("source/inner"));
    const target = box.directory("target");
    await mounter.mount([bind(join(box.path, "source"), "rbind")], target);
    await mounter.mount([bind("", "remount,rbind,ro")], target);
    expect(() => writeFileSync(join(target, "inner/file"), "")).toThrow("EROFS");
    writeFileSync(join(box.path, "source/inner/file"), "");
  });

  test("a remount without `bind` changes the filesystem itself", async () => {
    using box = sandbox();
    const [target, copy] = [box.directory("target"), box.directory("copy")];
    await mounter.mount([tmpfs("size=64k")], target);
    await mounter.mount([bind(target)], copy);
    await mounter.mount([tmpfs("remount", "size=1m")], target);
    expect(lineOf(box, "target").filesystem).toContain("size=1024k");
    expect(lineOf(box, "target").options).toContain("rw");
    await mounter.mount([tmpfs("remount,ro")], target);
    expect(lineOf(box, "target").filesystem).toContain("ro");
    expect(() => writeFileSync(join(copy, "file"), "")).toThrow("EROFS");
    await mounter.mount([tmpfs("remount,rw")], target);
    writeFileSync(join(copy, "file"), Buffer.alloc(500_000));
    const unknown = mounter.mount([tmpfs("remount,colour=red")], target);
    await expect(unknown).rejects.toThrow(/target: remount: option colour: .*Unknown parameter 'colour'/);
  });

  test("a remount where nothing is mounted is refused, and one that could not be undone too", async () => {
    using box = sandbox();
    const target = box.directory("target");
    for (const mount of [bind("", "remount,ro"), tmpfs("remount,ro")]) {
      await expect(mounter.mount([mount], target)).rejects.toMatchObject({
        code: "ERR_FAILED_PRECONDITION",
        message: `mount ${target}: remount: nothing is mounted there`,
      });
    }
    await mounter.mount([tmpfs()], target);
    await expect(mounter.mount([bind("", "remount,ro"), tmpfs()], target)).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
    });
    writeFileSync(join(target, "file"), "");
    expect(execFileSync("ls", [target], { encoding: "utf8" })).toBe("file\n");
  });
});
