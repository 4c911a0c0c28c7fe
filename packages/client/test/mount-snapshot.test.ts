import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { openClient } from "@varve/client";
import type { Client } from "@varve/client";
import { labelGcRoot } from "@varve/content";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { describe, expect, test } from "vitest";
import { backends, isRoot, records, scene, takeOffAll } from "./mount-scene.ts";

const run = promisify(execFile);

describe.each(backends)("a snapshot mounted by $snapshotter $why", ({ snapshotter, works }) => {
  test.skipIf(!works)("that is active keeps what is written, also when it is unmounted", async () => {
    await using here = await scene(snapshotter);
    const { client, target, top } = here;
    const store = await client.snapshotter();
    await store.prepare("work", top);
    await client.mountSnapshot("work", target, { writable: true });
    await writeFile(join(target, "new"), "text");
    await client.unmount(target);
    await expect(records(here)).resolves.toEqual(["work"]);
    await client.mountSnapshot("work", target);
    await expect(readFile(join(target, "new"), "utf8")).resolves.toBe("text");
    await expect(readFile(join(target, "etc/base"), "utf8")).resolves.toBe("base");
    await expect(writeFile(join(target, "other"), "")).rejects.toMatchObject({ code: "EROFS" });
    await client.unmount(target);
    await expect(readdir(target)).resolves.toEqual([]);
  });

  test.skipIf(!works)("is not collected while it is mounted, and is afterwards if nothing else keeps it", async () => {
    await using here = await scene(snapshotter);
    const { client, target } = here;
    await (await client.snapshotter()).prepare("work", undefined);
    await client.mountSnapshot("work", target, { writable: true });
    await client.gc();
    await expect(records(here)).resolves.toEqual(["work", `mount ${target}`]);
    await client.unmount(target);
    await client.gc();
    await expect(records(here)).resolves.toEqual([]);
  });

  test.skipIf(!works)("that is committed is seen through one that goes", async () => {
    await using here = await scene(snapshotter);
    const { client, target, top } = here;
    await client.mountSnapshot(top, target);
    await expect(writeFile(join(target, "new"), "")).rejects.toMatchObject({ code: "EROFS" });
    await client.unmount(target);
    await client.mountSnapshot(top, target, { writable: true });
    await writeFile(join(target, "new"), "");
    await client.unmount(target);
    await client.mountSnapshot(top, target);
    await expect(readdir(target)).resolves.not.toContain("new");
    await client.unmount(target);
    await expect(records(here)).resolves.toEqual([]);
  });

  test.skipIf(!works)("that is a view is not mounted for writing", async () => {
    await using here = await scene(snapshotter);
    const { client, target, top } = here;
    const labels = { [labelGcRoot]: "yes" };
    await (await client.snapshotter()).view("look", top, { labels });
    await expect(client.mountSnapshot("look", target, { writable: true })).rejects.toMatchObject({
      code: "ERR_FAILED_PRECONDITION",
      message: "snapshot look: is a view, which cannot be written to",
    });
    await client.mountSnapshot("look", target);
    await expect(readFile(join(target, "last"), "utf8")).resolves.toBe("last");
    await client.unmount(target);
    await expect(records(here)).resolves.toEqual(["look"]);
  });

  test.skipIf(!works)("that is active is mounted for writing in one place at a time", async () => {
    await using here = await scene(snapshotter);
    const { client, target, top } = here;
    const other = join(here.root, "other");
    await mkdir(other);
    await using _ = { [Symbol.asyncDispose]: () => takeOffAll(other) };
    await (await client.snapshotter()).prepare("work", top);
    await expect(client.mountPoints()).resolves.toEqual(new Map());
    await client.mountSnapshot("work", target, { writable: true });
    const places = [target];
    await expect(client.mountPoints()).resolves.toEqual(
      new Map(["work", `mount ${target}`].map((key) => [key, places])),
    );
    await expect(client.mountSnapshot("work", other, { writable: true })).rejects.toMatchObject({
      code: "ERR_FAILED_PRECONDITION",
      message: `snapshot work: is mounted on ${target}, unmount that first`,
    });
    await expect(readdir(other)).resolves.toEqual([]);
    // Taken off by other means, it is in nobody's way, and not even by its record.
    await run("umount", [target]);
    await expect(client.mountPoints()).resolves.toEqual(new Map());
    await client.mountSnapshot("work", other, { writable: true });
    await client.unmount(other);
    await client.unmount(target);
    await expect(records(here)).resolves.toEqual(["work"]);
  });
});

test.skipIf(!isRoot)(
  "a snapshot that is about to be mounted is not collected any more (skipped: only root may mount)",
  async () => {
    await using here = await scene("native");
    const { target } = here;
    await using client: Client = await openClient({
      root: here.root,
      durability: "none",
      snapshotter: "collected",
      snapshotters: {
        collected: async (root) => {
          const native = await openNativeSnapshotter({ root, durability: "none" });
          const mounts = native.mounts.bind(native);
          native.mounts = async (...call) => {
            await client.gc();
            return mounts(...call);
          };
          return native;
        },
      },
    });
    await (await client.snapshotter()).prepare("work", undefined);
    await client.mountSnapshot("work", target, { writable: true });
    await writeFile(join(target, "new"), "");
    await expect(client.mountPoints()).resolves.toEqual(
      new Map(["work", `mount ${target}`].map((key) => [key, [target]])),
    );
    await client.unmount(target);
  },
);

test("a snapshot that is not there cannot be mounted", async () => {
  await using here = await scene("native");
  const { client, target } = here;
  await expect(client.mountSnapshot("nope", target)).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: "snapshot nope: not found",
  });
  await expect(records(here)).resolves.toEqual([]);
});
