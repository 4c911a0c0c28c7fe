import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { openClient } from "@varve/client";
import { exec, temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { varve } from "../src/command.ts";
import { unless } from "../src/faults/codes.ts";
import { environment } from "../src/images-under-test.ts";
import { pushTallImage } from "../src/many-images.ts";
import { compareTrees, readTree } from "../src/tree.ts";

const { missing } = environment;

describe.skipIf(missing !== undefined)(
  `what is removed while it is in use (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    // C04
    test.each(["overlay", "native"])(
      "by %s: an image that is mounted, written to and prepared on stays readable, and goes with the last of its users",
      async (snapshotter) => {
        await using directory = await temporaryDirectory();
        const root = join(directory.path, "store");
        const inStore = (...args: string[]): ReturnType<typeof varve> => varve([...args, `--root=${root}`]);
        await using client = await openClient({ root, snapshotter });
        const { reference } = await pushTallImage(environment.registry, `in-use-${snapshotter}`, 4);
        const { chainId, layers } = await client.pull(reference);
        const [mounted, written] = ["mounted", "written"].map((name) => join(directory.path, name)) as [string, string];
        for (const path of [mounted, written]) await mkdir(path);
        // Whatever fails: what is mounted here must not be removed with the directory.
        await using _ = { [Symbol.asyncDispose]: () => takeOff([mounted, written]) };
        await client.mount(reference, mounted);
        await client.mount(reference, written, { writable: true });
        const before = readTree(mounted);
        const snapshots = await client.snapshotter(snapshotter);
        await snapshots.prepare("prepared", chainId);

        // What others stand on is not removed, whoever asks.
        for (const { chainId: layer } of layers) {
          await expect(snapshots.remove(layer)).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
        }
        const removed = await inStore("images", "rm", reference);
        expect(removed, removed.stderr).toMatchObject({ status: 0 });
        const collected = await inStore("gc");
        expect(collected, collected.stderr).toMatchObject({ status: 0 });
        expect(compareTrees(readTree(mounted), before)).toEqual([]);
        expect([...readTree(written).keys()]).toEqual([...before.keys()]);

        for (const path of [mounted, written]) await client.unmount(path);
        // Nothing has held it: the collection may have taken it.
        await snapshots.remove("prepared").catch(unless("ERR_NOT_FOUND"));
        const last = await inStore("gc");
        expect(last, last.stderr).toMatchObject({ status: 0 });
        const left = (await readdir(join(root, "snapshots", snapshotter))).filter(
          (name) => !name.startsWith("metadata.db"),
        );
        expect(left).toEqual([]);
      },
    );
  },
);

async function takeOff(paths: readonly string[]): Promise<void> {
  for (const path of paths) await exec("umount", ["-q", "-l", path]).catch(() => undefined);
}
