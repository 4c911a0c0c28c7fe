import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, linkSync, lstatSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { overlayOptions, withIdMappings } from "@varve/mount";
import type { Mount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { cannotMount, openDescriptors, sandbox } from "./sandbox.ts";

const mounter = createLinuxMounter();
const mapping = "0:100000:65536";
const bind = (source: string, ...options: string[]): Mount => ({ type: "bind", source, options });
const overlay = (...options: string[]): Mount => ({ type: "overlay", source: "overlay", options });
const mapped = (mount: Mount, uid = mapping, gid = mapping): readonly Mount[] => withIdMappings([mount], { uid, gid });

/** What a program of that user does in a directory. */
function runAs(id: number, directory: string, script: string): string {
  return execFileSync("sh", ["-c", script], { cwd: directory, uid: id, gid: id, encoding: "utf8", stdio: "pipe" });
}

function owner(path: string): string {
  const { uid, gid } = lstatSync(path);
  return `${uid}:${gid}`;
}

function children(): string {
  return readFileSync(`/proc/self/task/${process.pid}/children`, "utf8");
}

describe.skipIf(cannotMount)("mapping ids (needs root on Linux)", () => {
  // U-OVL.11
  test("a bind mount shows the ids of the host, and what a mapped user makes has its own id on the disk", async () => {
    using box = sandbox();
    const [source, target] = [box.directory("source"), box.directory("target")];
    writeFileSync(join(source, "root"), "");
    writeFileSync(join(source, "user"), "");
    chownSync(join(source, "user"), 33, 44);
    await mounter.mount(mapped(bind(source, "rbind", "rw")), target);
    expect(owner(target)).toBe("100000:100000");
    expect(owner(join(target, "root"))).toBe("100000:100000");
    expect(owner(join(target, "user"))).toBe("100033:100044");
    runAs(100_000, target, "echo > new");
    chownSync(join(target, "user"), 100_007, 100_008);
    expect(owner(join(source, "new"))).toBe("0:0");
    expect(owner(join(source, "user"))).toBe("7:8");
    // An id that stands for none on the disk can make nothing.
    expect(() => writeFileSync(join(target, "outside"), "")).toThrow("EOVERFLOW");
    await mounter.unmount(target);
    expect(owner(join(source, "root"))).toBe("0:0");
  });

  // U-OVL.11
  test("several runs of ids, and users and groups apart, are mapped as written", async () => {
    using box = sandbox();
    const [source, target] = [box.directory("source"), box.directory("target")];
    for (const id of [0, 5, 1000, 70_000]) {
      writeFileSync(join(source, `${id}`), "");
      chownSync(join(source, `${id}`), id, id);
    }
    await mounter.mount(mapped(bind(source, "bind,ro"), "0:2000:1,1:500000:100,1000:7:1", "0:300000:1001"), target);
    expect(owner(join(target, "0"))).toBe("2000:300000");
    expect(owner(join(target, "5"))).toBe("500004:300005");
    expect(owner(join(target, "1000"))).toBe("7:301000");
    expect(owner(join(target, "70000"))).toBe("65534:65534");
  });

  // U-OVL.11, U-MNT.6
  test("an overlay shows the ids of the host, and all that is written keeps those of the image on the disk", async () => {
    using box = sandbox();
    const [a, b, target] = [box.directory("1/fs"), box.directory("2/fs"), box.directory("target")];
    const [upper, work] = [box.directory("3/fs"), box.directory("3/work")];
    writeFileSync(join(a, "file"), "a");
    writeFileSync(join(b, "removed"), "");
    mkdirSync(join(b, "directory"));
    writeFileSync(join(b, "directory/of33"), "b");
    chownSync(join(b, "directory/of33"), 33, 44);
    const options = overlayOptions({ lower: [a, b], data: [], upper, work });
    await mounter.mount(mapped(overlay("index=off", ...options)), target);
    expect(owner(target)).toBe("100000:100000");
    expect(owner(join(target, "directory/of33"))).toBe("100033:100044");
    runAs(
      100_000,
      target,
      "echo more >> file; rm removed; echo > new; mkdir directory/inner; ln -s new link; mkfifo fifo",
    );
    // What the host's root may do, because it needs no new id.
    chownSync(join(target, "new"), 100_009, 100_010);
    chmodSync(join(target, "directory/of33"), 0o640);
    linkSync(join(target, "directory/of33"), join(target, "hard"));
    expect(runAs(100_000, target, "cat file").trim()).toBe("amore");
    for (const name of ["file", "directory", "directory/inner", "link", "fifo", "removed"]) {
      expect([name, owner(join(upper, name))]).toEqual([name, "0:0"]);
    }
    expect(owner(join(upper, "new"))).toBe("9:10");
    expect(owner(join(upper, "directory/of33"))).toBe("33:44");
    expect(statSync(join(upper, "hard")).ino).toBe(statSync(join(upper, "directory/of33")).ino);
    await mounter.unmount(target);
    expect(owner(join(b, "directory/of33"))).toBe("33:44");
    // And the same without mapping: the layer is as good as any other.
    await mounter.mount([overlay(...overlayOptions({ lower: [upper, a, b], data: [] }))], target);
    expect(owner(join(target, "new"))).toBe("9:10");
  });

  // U-OVL.11
  test("an overlay for reading is mapped too, and a bind mount of a tree with all its mounts", async () => {
    using box = sandbox();
    const [a, b, target] = [box.directory("a"), box.directory("b"), box.directory("target")];
    writeFileSync(join(a, "file"), "");
    await mounter.mount(mapped(overlay(...overlayOptions({ lower: [a, b], data: [] }))), target);
    expect(owner(join(target, "file"))).toBe("100000:100000");
    await mounter.unmount(target);
    await mounter.mount([{ type: "tmpfs", source: "tmpfs", options: [] }], box.directory("a/inner"));
    writeFileSync(join(a, "inner/deep"), "");
    await mounter.mount(mapped(bind(a, "rbind")), target);
    expect(owner(join(target, "inner/deep"))).toBe("100000:100000");
    expect(owner(join(a, "inner/deep"))).toBe("0:0");
    await mounter.unmount(target);
    expect(box.mountPoints()).toEqual(["a/inner"]);
  });

  // U-MNT.6
  test("upper and work directories that are not on one mount are refused", async () => {
    using box = sandbox();
    const [lower, target, upper] = [box.directory("lower"), box.directory("target"), box.directory("upper")];
    const other = box.directory("other");
    await mounter.mount([{ type: "tmpfs", source: "tmpfs", options: [] }], other);
    const apart = overlayOptions({ lower: [lower], data: [], upper, work: other });
    await expect(mounter.mount(mapped(overlay(...apart)), target)).rejects.toMatchObject({
      code: "ERR_FAILED_PRECONDITION",
      message: `mount ${target}: overlay: workdir ${other}: not on one mount with the other directory`,
    });
  });

  // U-OVL.11
  test("no process and no descriptor is left, whether it succeeds, fails or is aborted", async () => {
    using box = sandbox();
    const [source, target] = [box.directory("source"), box.directory("target")];
    const before = [openDescriptors(), children()];
    await mounter.mount([...mapped(bind(source)), ...mapped(bind(source))], target);
    await mounter.unmount(target);
    await expect(mounter.mount(mapped(bind(join(box.path, "missing"))), target)).rejects.toMatchObject({
      code: "ERR_NOT_FOUND",
    });
    const controller = new AbortController();
    const aborted = mounter.mount(mapped(bind(source)), target, { signal: controller.signal });
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    expect([openDescriptors(), children()]).toEqual(before);
    expect(box.mountPoints()).toEqual([]);
    // Nothing of the overlay's own user stays with this process.
    writeFileSync(join(source, "file"), "");
    chmodSync(join(source, "file"), 0);
    expect(owner(join(source, "file"))).toBe("0:0");
    expect(readFileSync(join(source, "file"), "utf8")).toBe("");
  });

  // U-OVL.11
  test.each([
    [["uidmap=0:1:2,3:4", "gidmap=0:1:2"], "ERR_INVALID_ARGUMENT", 'id mapping "3:4": must be container:host:size'],
    [["uidmap=0:1:2"], "ERR_INVALID_ARGUMENT", "uidmap and gidmap: one is given without the other"],
    [["remount", "uidmap=0:1:2", "gidmap=0:1:2"], "ERR_INVALID_ARGUMENT", "cannot be changed by a remount"],
  ])("%j is refused: %s", async (options, code, message) => {
    using box = sandbox();
    const done = mounter.mount([bind(box.directory("source"), ...options)], box.directory("target"));
    await expect(done).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    expect(box.mountPoints()).toEqual([]);
  });

  // U-OVL.11
  test("a filesystem that cannot be mapped, and a system without the program for it, are said to be that", async () => {
    using box = sandbox();
    const target = box.directory("target");
    await expect(mounter.mount(mapped(bind("/proc")), target)).rejects.toMatchObject({
      code: "ERR_NOT_IMPLEMENTED",
      message: `mount ${target}: bind: source /proc: its filesystem cannot be id-mapped by this kernel`,
    });
    vi.stubEnv("PATH", box.path);
    try {
      await expect(mounter.mount(mapped(bind(box.path)), target)).rejects.toMatchObject({
        code: "ERR_NOT_IMPLEMENTED",
        message: expect.stringContaining("needs the program unshare of util-linux, which is not installed"),
      });
      writeFileSync(join(box.path, "unshare"), "#!/bin/sh\necho unshare: no more namespaces >&2\nexit 1\n", {
        mode: 0o755,
      });
      await expect(mounter.mount(mapped(bind(box.path)), target)).rejects.toMatchObject({
        code: "ERR_NOT_IMPLEMENTED",
        message: `mount ${target}: user namespace: unshare: no more namespaces`,
      });
    } finally {
      vi.unstubAllEnvs();
    }
    expect(box.mountPoints()).toEqual([]);
  });
});
