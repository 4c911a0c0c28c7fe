import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connectContainerd } from "@varve/containerd";
import { describe, expect, test } from "vitest";
import { makeDisk, obstacle } from "./disk.ts";

const program = fileURLToPath(new URL("../src/serve.ts", import.meta.url));

describe.skipIf(obstacle !== undefined)(`served${obstacle === undefined ? "" : ` (${obstacle})`}`, () => {
  test("it works through containerd's interface as it does by itself, and ends by SIGTERM", async () => {
    using disk = makeDisk();
    const [root, address] = [join(disk.path, "snapshots"), join(disk.path, "socket")];
    mkdirSync(root);
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, root, address]);
    const ended = once(child, "exit");
    await once(child.stdout, "data");
    await using containerd = connectContainerd({ address });
    const snapshotter = containerd.snapshotter("btrfs-example");
    const [mount] = await snapshotter.prepare("default/1/extract-1 sha256:aa", undefined);
    expect(mount?.source.startsWith(root)).toBe(true);
    await snapshotter.commit("default/2/sha256:aa", "default/1/extract-1 sha256:aa");
    await snapshotter.prepare("default/3/work", "default/2/sha256:aa");
    await expect(snapshotter.remove("default/2/sha256:aa")).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
    await snapshotter.remove("default/3/work");
    await snapshotter.remove("default/2/sha256:aa");
    expect(await Array.fromAsync(snapshotter.walk())).toEqual([]);
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  });
});
