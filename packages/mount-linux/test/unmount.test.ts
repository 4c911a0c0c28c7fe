import { closeSync, existsSync, mkdirSync, openSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Mount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { cannotMount, sandbox } from "./sandbox.ts";

const mounter = createLinuxMounter();
const tmpfs: Mount = { type: "tmpfs", source: "tmpfs", options: [] };

describe.skipIf(cannotMount)("unmounting (needs root on Linux)", () => {
  test("where nothing is mounted, or nothing is, there is no error", async () => {
    using box = sandbox();
    await mounter.unmount(box.directory("plain"));
    await mounter.unmount(join(box.path, "none"));
    await mounter.unmount(join(box.path, "none/deeper"));
    writeFileSync(join(box.path, "file"), "");
    await mounter.unmount(join(box.path, "file/below"));
    await expect(mounter.unmount("/")).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  });

  test("a link to a mount is not followed", async () => {
    using box = sandbox();
    const real = box.directory("real");
    await mounter.mount([tmpfs], real);
    symlinkSync(real, join(box.path, "link"));
    await mounter.unmount(join(box.path, "link"));
    await mounter.unmount(join(box.path, "link"), { lazy: true });
    expect(box.mountPoints()).toEqual(["real"]);
  });

  test("mounts beside and above the target stay", async () => {
    using box = sandbox();
    for (const name of ["a", "ab", "a/inner"]) await mounter.mount([tmpfs], box.directory(name));
    await mounter.unmount(join(box.path, "a/inner"));
    expect(box.mountPoints()).toEqual(["a", "ab"]);
    await mounter.unmount(join(box.path, "a"));
    expect(box.mountPoints()).toEqual(["ab"]);
  });

  test("a mount that a younger one hides is taken off after that one, at the first try", async () => {
    using box = sandbox();
    const target = box.directory("target");
    await mounter.mount([tmpfs], target);
    await mounter.mount([tmpfs], box.directory("target/a/hidden"));
    await mounter.mount([tmpfs], join(target, "a"));
    await createLinuxMounter({ busyTimeoutMs: 0 }).unmount(target);
    expect(box.mountPoints()).toEqual([]);
  });

  test("names with spaces, newlines and backslashes are taken off below a target", async () => {
    using box = sandbox();
    const target = box.directory("target");
    await mounter.mount([tmpfs], target);
    for (const name of ["with space", "new\nline", "back\\slash", "tab\t/deep er"]) {
      mkdirSync(join(target, name), { recursive: true });
      await mounter.mount([tmpfs], join(target, name));
    }
    expect(box.mountPoints()).toHaveLength(5);
    await mounter.unmount(target);
    expect(box.mountPoints()).toEqual([]);
  });

  test("a busy mount is unavailable after the time allowed and stays mounted", async () => {
    using box = sandbox();
    const target = box.directory("target");
    await mounter.mount([tmpfs], target);
    const fd = openSync(join(target, "file"), "w");
    await expect(createLinuxMounter({ busyTimeoutMs: 20 }).unmount(target)).rejects.toMatchObject({
      code: "ERR_UNAVAILABLE",
      message: `unmount ${target}: EBUSY: resource busy or locked, umount2`,
    });
    expect(existsSync(join(target, "file"))).toBe(true);
    await mounter.unmount(target, { lazy: true });
    expect(readdirSync(target)).toEqual([]);
    closeSync(fd);
  });

  test("a mount that stops being busy in time is taken off", async () => {
    using box = sandbox();
    const target = box.directory("target");
    await mounter.mount([tmpfs], target);
    const fd = openSync(join(target, "file"), "w");
    const done = createLinuxMounter({ busyTimeoutMs: 20_000 }).unmount(target);
    await sleep(20);
    closeSync(fd);
    await done;
    expect(box.mountPoints()).toEqual([]);
  });

  test("an abort while waiting for a busy mount rejects with its reason", async () => {
    using box = sandbox();
    const target = box.directory("target");
    await mounter.mount([tmpfs], target);
    const fd = openSync(join(target, "file"), "w");
    const controller = new AbortController();
    const done = createLinuxMounter({ busyTimeoutMs: 20_000 }).unmount(target, { signal: controller.signal });
    const reason = new Error("enough");
    setTimeout(() => controller.abort(reason), 10);
    await expect(done).rejects.toBe(reason);
    closeSync(fd);
    expect(box.mountPoints()).toEqual(["target"]);
  });

  test("a link on the way to the target is not followed either", async () => {
    using box = sandbox();
    await mounter.mount([tmpfs], box.directory("real/target"));
    symlinkSync("real", join(box.path, "link"));
    await expect(mounter.unmount(join(box.path, "link/target"))).rejects.toMatchObject({
      code: "ERR_FAILED_PRECONDITION",
      message: `unmount ${box.path}/link/target: a symbolic link is on the way to it`,
    });
    expect(box.mountPoints()).toEqual(["real/target"]);
  });
});
