import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { expect, test } from "vitest";

const root = process.geteuid?.() === 0;

// F05
test.skipIf(!root)("snapshots on a read-only disk are told and mounted (privileged: mounts a tmpfs)", async () => {
  const path = mkdtempSync(join(tmpdir(), "varve-native-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "varve-test", path]);
  try {
    const writing = await openNativeSnapshotter({ root: path });
    await writing.prepare("a", undefined);
    await writing.commit("A", "a");
    const mounts = await writing.prepare("b", "A");
    await writing.close();
    execFileSync("mount", ["-o", "remount,ro", path]);
    await using snapshotter = await openNativeSnapshotter({ root: path });
    expect((await Array.fromAsync(snapshotter.walk())).map(({ name }) => name)).toEqual(["A", "b"]);
    expect((await snapshotter.stat("A")).kind).toBe("committed");
    expect(await snapshotter.mounts("b")).toEqual(mounts);
    expect((await snapshotter.usage("b")).inodes).toBe(1);
    const calls = [
      () => snapshotter.prepare("c", "A"),
      () => snapshotter.commit("B", "b"),
      () => snapshotter.remove("b"),
    ];
    for (const call of calls) {
      await expect(call()).rejects.toMatchObject({ code: "EROFS", message: expect.stringContaining(path) });
    }
  } finally {
    execFileSync("umount", [path]);
    rmSync(path, { recursive: true });
  }
});
