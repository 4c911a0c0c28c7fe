import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { exec } from "@varve-tools/corpus";
import { writeBlob } from "@varve/content";
import { createMemoryContentStore } from "@varve/content-memory";
import { createDiffer } from "@varve/differ";
import { digestOf } from "@varve/digest";
import type { Mount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { mediaTypes } from "@varve/oci";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import { dir, file, layerOf, opaque, whiteout } from "../src/layers/layer-of.ts";
import { mountedDisk } from "../src/mounted-disk.ts";
import { readTree } from "../src/tree.ts";

const missing = await whyNoFaults(["unshare"]);
const inNamespace = ["--user", "--map-root-user", "--mount"];
const hasNamespaces = spawnSync("unshare", [...inNamespace, "true"]).status === 0;
const tar = layerOf([dir("d"), opaque("d"), file("d/a", "a"), whiteout("gone")]);

function look(root: string): object {
  return Object.fromEntries(
    [...readTree(root)].map(([path, { content, type, xattrs }]) => [path, { type, content, xattrs }]),
  );
}

function bindOf(source: string): Mount {
  return { type: "bind", source, options: ["rw", "rbind"] };
}

describe.skipIf(missing !== undefined)(
  `layers that are written without those below (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    const disk = mountedDisk("ext4");
    let base = "";
    beforeEach(() => void (base = mkdtempSync(join(disk(), "staged-"))));
    afterEach(() => rmSync(base, { recursive: true, force: true }));

    /** What is in a directory after the layer was staged into it by way of these mounts, and what when it has got a parent. */
    async function staged(mountsOf: (root: string) => readonly Mount[]): Promise<readonly object[]> {
      const [root, lower, work] = ["upper-", "lower-", "work-"].map((name) => mkdtempSync(join(base, name))) as [
        string,
        string,
        string,
      ];
      writeFileSync(join(lower, "gone"), "");
      await using differ = createDiffer({ concurrency: 1 });
      const layer = { mediaType: mediaTypes.ociLayer, digest: digestOf(tar), size: tar.length };
      const written = await differ.stage(layer, mountsOf(root), { source: Readable.from([tar]) });
      const before = look(root);
      const options = [`lowerdir=${lower}`, `upperdir=${root}`, `workdir=${work}`];
      await written.settle([{ type: "overlay", source: "overlay", options }]);
      expect(readdirSync(work)).toEqual([]);
      return [before, look(root)];
    }

    // C-UNP.1, U-UNP.13: containerd makes an overlay with an upper directory of a single bind, so that its applier writes whiteouts
    // for one. Here nothing is mounted: a directory that is staged into is an upper directory.
    test("one bind is written as an overlay's upper directory, as an overlay's own is, and nothing is mounted", async () => {
      const bind = await staged((root) => [bindOf(root)]);
      const opaqueDirectory = {
        type: "directory",
        xattrs: { "trusted.overlay.opaque": Buffer.from("y").toString("hex") },
      };
      expect(bind).toMatchObject([
        { d: opaqueDirectory },
        { d: opaqueDirectory, gone: { type: "character device", content: "0", xattrs: {} } },
      ]);
      // Whether there is something to hide is known with the layers below.
      expect(bind[0]).not.toHaveProperty("gone");
      const overlay = await staged((root) => [{ type: "overlay", source: "overlay", options: [`upperdir=${root}`] }]);
      expect(overlay).toEqual(bind);
    });

    // What is written through a link of a layer below is where the link leads.
    test("a layer that is not what its parent makes of it is applied again, however deep it is", async () => {
      const [root, lower, work] = ["upper", "lower", "work"].map((name) => join(base, name)) as [
        string,
        string,
        string,
      ];
      for (const directory of [root, lower, work, join(lower, "real")]) mkdirSync(directory);
      symlinkSync("real", join(lower, "d"));
      const deep = Array.from({ length: 25 }, () => "n".repeat(200)).join("/");
      const bytes = layerOf([file(`d/${deep}/f`, "content")]);
      const content = createMemoryContentStore();
      await writeBlob(content, "deep", bytes);
      await using differ = createDiffer({ concurrency: 1, content, mounter: createLinuxMounter() });
      const layer = { mediaType: mediaTypes.ociLayer, digest: digestOf(bytes), size: bytes.length };
      const written = await differ.stage(layer, [bindOf(root)]);
      expect(readdirSync(root)).toEqual(["d"]);
      const options = [`lowerdir=${lower}`, `upperdir=${root}`, `workdir=${work}`];
      await written.settle([{ type: "overlay", source: "overlay", options }]);
      expect(readdirSync(root)).toEqual(["real"]);
      const { stdout } = await exec("find", [root, "-type", "f", "-printf", "%f %s %d"]);
      expect(stdout).toBe("f 7 27");
    });

    // C-UNP.1
    test("several mounts, and one that is read-only, are refused and not changed", async () => {
      const refusal = { code: "ERR_INVALID_ARGUMENT", message: expect.stringContaining("only one directory") };
      await expect(staged((root) => [bindOf(root), bindOf(root)])).rejects.toMatchObject(refusal);
      await expect(staged((root) => [{ ...bindOf(root), options: ["ro"] }])).rejects.toMatchObject(refusal);
      const roots = readdirSync(base).filter((name) => name.startsWith("upper-"));
      expect(roots.map((name) => readdirSync(join(base, name)))).toEqual([[], []]);
    });

    // G-31, G-32
    test.skipIf(!hasNamespaces)("without root outside of a user namespace, every way gives one tree", async () => {
      const program = join(import.meta.dirname, "../src/pulls/everywhere-once.ts");
      const { stdout } = await exec("unshare", [...inNamespace, process.execPath, program, base]);
      expect(JSON.parse(stdout)).toEqual({ problems: [], ways: 8 });
    });
  },
);
