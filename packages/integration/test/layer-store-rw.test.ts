import { chown, link, mkdir, readdir, readFile, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { createTarReader } from "@varve/archive";
import { chainIds, digestOf } from "@varve/digest";
import { labelGidMapping, labelUidMapping } from "@varve/snapshots";
import { describe, expect, test } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import { backends, bytesOf, once } from "../src/layer-store/layer-store-scene.ts";
import { dir, file, hardlink, layerOf, opaque, symlink as linkTo, whiteout } from "../src/layers/layer-of.ts";
import { base, changesIn, isMounted, names, nothing, opened, within } from "../src/layer-store/rw-scene.ts";

const missing = await whyNoFaults([]);

describe.skipIf(missing !== undefined).each(backends)(
  `read-write layers over %s (privileged${missing === undefined ? "" : `: ${missing}`})`,
  (backend) => {
    // S1.40, S1.43, S1.45, S1.76, C-LS.1
    test("changes are committed as a layer on the parent, and seen by who stands on it", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const parent = await store.register(once(base));
      const layer = await store.createRWLayer("one", { parent: parent.chainId });
      expect(layer).toMatchObject({ name: "one", parent: parent.chainId });
      await within(layer, async (root) => {
        expect(await readFile(join(root, "d/a"), "utf8")).toBe("base a");
        await writeFile(join(root, "d/a"), "mine");
        await writeFile(join(root, "new"), "n".repeat(300_000));
        await rm(join(root, "d/b"));
      });
      const tar = await bytesOf(layer.tarStream());
      const descriptor = { mediaType: "x/y", digest: digestOf("blob"), size: 3 };
      const committed = await layer.commit({ descriptor });
      expect(committed).toMatchObject({
        chainId: chainIds([parent.chainId, digestOf(tar)])[1],
        parent: parent.chainId,
        diffId: digestOf(tar),
        diffSize: 300_004,
        descriptor,
      });
      expect((await bytesOf(committed.tarStream())).equals(tar)).toBe(true);
      await using other = await store.createRWLayer("two", { parent: committed.chainId });
      await within(other, async (root) => {
        expect((await readdir(root)).toSorted()).toEqual(["big", "d", "new"]);
        expect(await readdir(join(root, "d"))).toEqual(["a"]);
        expect(await readFile(join(root, "d/a"), "utf8")).toBe("mine");
      });
      expect(await changesIn(other)).toEqual([]);
      // What was committed is still in the layer itself.
      expect(await layer.size()).toBe(300_004);
      expect((await scene.files()).scratch).toEqual([]);
      expect((await scene.snapshots()).others).toBe(2);
    });

    // S1.76, C-LS.7: TestMountChanges
    test("changes are told by kind, and the size is that of the files", async () => {
      await using here = await opened(backend);
      const { store } = here;
      await using parent = await store.register(once(base));
      await using layer = await store.createRWLayer("one", { parent: parent.chainId });
      expect(await changesIn(layer)).toEqual([]);
      expect(await layer.size()).toBe(0);
      await within(layer, async (root) => {
        await writeFile(join(root, "d/a"), "seventeen letters");
        await mkdir(join(root, "made/in"), { recursive: true });
        await writeFile(join(root, "made/in/f"), "four");
        await link(join(root, "made/in/f"), join(root, "made/g"));
        await symlink("/etc/passwd", join(root, "made/s"));
        await truncate(join(root, "big"), 100);
        await rm(join(root, "d/b"));
      });
      expect((await changesIn(layer)).filter((change) => change !== "modified d").toSorted()).toEqual([
        "added made",
        "added made/g",
        "added made/in",
        "added made/in/f",
        "added made/s",
        "deleted d/b",
        "modified big",
        "modified d/a",
      ]);
      expect(await layer.size()).toBe(17 + 4 + 100);
      await using committed = await layer.commit();
      expect(committed.diffSize).toBe(17 + 4 + 100);
    });

    // S1.44, S1.76, C-LS.7: TestMountInit, TestMountSize
    test("what init makes is seen, but is neither in changes, size nor commit", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const parent = await store.register(once(base));
      const layer = await store.createRWLayer("one", {
        parent: parent.chainId,
        init: async (root) => {
          expect(await readFile(join(root, "d/a"), "utf8")).toBe("base a");
          await writeFile(join(root, "from-init"), "i".repeat(999));
          await writeFile(join(root, "d/a"), "by init");
        },
      });
      expect(await changesIn(layer)).toEqual([]);
      expect(await layer.size()).toBe(0);
      await within(layer, async (root) => {
        expect(await readFile(join(root, "d/a"), "utf8")).toBe("by init");
        expect((await stat(join(root, "from-init"))).size).toBe(999);
        await writeFile(join(root, "mine"), "mine");
      });
      expect(await changesIn(layer)).toEqual(["added mine"]);
      expect(await layer.size()).toBe(4);
      const committed = await layer.commit();
      expect(committed).toMatchObject({ parent: parent.chainId, diffSize: 4 });
      await using other = await store.createRWLayer("two", { parent: committed.chainId });
      await within(other, async (root) => {
        expect((await readdir(root)).toSorted()).toEqual(["big", "d", "mine"]);
        expect(await readFile(join(root, "d/a"), "utf8")).toBe("base a");
      });
      expect(await committed.release()).toEqual([]);
      expect(await layer.release()).toEqual([]);
      expect((await scene.snapshots()).committed).toEqual([parent.chainId, committed.chainId].toSorted());
    });

    // S1.41, S1.42, S1.46
    test("a name is given once, a parent must be there, and may be missing", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const nobody = digestOf("nobody");
      await expect(store.createRWLayer("one", { parent: nobody })).rejects.toMatchObject({
        code: "ERR_NOT_FOUND",
        message: `layer ${nobody}: not found`,
      });
      await expect(store.createRWLayer("")).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
      await expect(store.getRWLayer("one")).rejects.toMatchObject({
        code: "ERR_NOT_FOUND",
        message: "read-write layer one: not found",
      });
      const [made, refused] = await Promise.allSettled([store.createRWLayer("one"), store.createRWLayer("one")]);
      expect(refused).toMatchObject({
        reason: { code: "ERR_ALREADY_EXISTS", message: "read-write layer one: already exists" },
      });
      if (made.status === "rejected") throw made.reason;
      const layer = made.value;
      expect(layer.parent).toBeUndefined();
      await within(layer, async (root) => writeFile(join(root, "f"), "alone"));
      expect(await layer.size()).toBe(5);
      const committed = await layer.commit();
      expect(committed).toMatchObject({ depth: 1, parent: undefined, size: 5 });
      expect(await layer.release()).toEqual([]);
      expect(await scene.snapshots()).toEqual({ committed: [committed.chainId], others: 0 });
    });

    // S1.46, S1.47, S1.49
    test("the last reference takes the layer, and the parents that nobody has", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const parent = await store.register(once(base));
      const first = await store.createRWLayer("one", { parent: parent.chainId, init: nothing });
      const second = await store.getRWLayer("one");
      expect(await parent.release()).toEqual([]);
      expect(await first.release()).toEqual([]);
      await expect(first.release()).rejects.toMatchObject({
        code: "ERR_FAILED_PRECONDITION",
        message: "read-write layer one: this reference was released",
      });
      for (const call of [
        () => first.mount(),
        () => first.size(),
        () => first.commit(),
        () => first.changes().next(),
      ]) {
        await expect(call()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
      }
      await within(second, async (root) => writeFile(join(root, "f"), "f"));
      expect(names(await second.release())).toEqual([parent.chainId]);
      expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
      await expect(store.getRWLayer("one")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
      await using again = await store.createRWLayer("one");
      expect(await again.size()).toBe(0);
    });

    // S1.76
    test("there is one mount of all references, which the last takes off", async () => {
      await using here = await opened(backend);
      const { scene, store } = here;
      const other = await scene.store();
      const first = await store.createRWLayer("one");
      const second = await other.getRWLayer("one");
      await expect(first.unmount()).rejects.toMatchObject({
        code: "ERR_FAILED_PRECONDITION",
        message: "read-write layer one: is not mounted by this reference",
      });
      const root = await first.mount();
      await writeFile(join(root, "f"), "f");
      expect(await second.mount()).toBe(root);
      expect(await second.mount()).toBe(root);
      await first.unmount();
      await expect(first.unmount()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
      await second.unmount();
      expect(await isMounted(root)).toBe(true);
      await other.cleanup();
      expect(await readFile(join(root, "f"), "utf8")).toBe("f");
      await expect(second.release()).rejects.toMatchObject({
        code: "ERR_FAILED_PRECONDITION",
        message: "read-write layer one: is mounted by this reference",
      });
      await second.unmount();
      expect(await isMounted(root)).toBe(false);
      expect(await readdir(join(scene.path, "layers/mounts"))).toEqual([]);
      await first[Symbol.asyncDispose]();
      await second.mount();
      await second[Symbol.asyncDispose]();
      await second[Symbol.asyncDispose]();
      expect(await isMounted(root)).toBe(false);
      expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
    });

    // S1.45: storage options
    test("labels go to the snapshotter: with mapped ids a commit has those of the image", async () => {
      await using here = await opened(backend);
      const { store } = here;
      await using parent = await store.register(once(base));
      const labels = { [labelUidMapping]: "0:100000:65536", [labelGidMapping]: "0:200000:65536" };
      await using layer = await store.createRWLayer("one", { parent: parent.chainId, labels });
      await within(layer, async (root) => {
        expect(await stat(join(root, "d/a"))).toMatchObject({ uid: 100_000, gid: 200_000 });
        await writeFile(join(root, "d/a"), "f");
        await chown(join(root, "d/a"), 100_007, 200_008);
      });
      expect(await changesIn(layer)).toEqual(["modified d/a"]);
      const owners: string[] = [];
      const reader = createTarReader({
        entry: ({ name, uid, gid }) => void owners.push(`${name.toString()} ${uid}:${gid}`),
        data: () => undefined,
        done: () => undefined,
      });
      for await (const chunk of layer.tarStream()) reader.write(chunk);
      reader.end();
      expect(owners).toContain("d/a 7:8");
      expect(await layer.size()).toBe(1);
    });

    // S1.76, C-LS.7: TestMountApply
    test.each([
      ["as it is", (tar: Buffer) => once(tar)],
      ["by gzip, from a function", (tar: Buffer) => () => once(gzipSync(tar))],
    ])(
      "an archive that is applied, given %s, becomes changes like others: nothing else is made",
      async (_how, given) => {
        await using here = await opened(backend);
        const { scene, store } = here;
        await using parent = await store.register(once(base));
        await using layer = await store.createRWLayer("one", { parent: parent.chainId });
        await within(layer, async (root) => {
          for (const name of ["mine", "kept"]) await writeFile(join(root, name), name);
          await mkdir(join(root, "full"));
          await writeFile(join(root, "full/of"), "what goes");
        });
        const applied = layerOf([
          file("d/a", "by the archive"),
          whiteout("d/b"),
          whiteout("mine"),
          dir("full"),
          opaque("full"),
          hardlink("same", "d/a"),
          linkTo("out", "/etc/passwd"),
        ]);
        let told = 0;
        const onProgress = (bytes: number): void => void (told = bytes);
        expect(await layer.apply(given(applied), { onProgress })).toEqual({
          diffId: digestOf(applied),
          contentBytes: 14,
        });
        expect(told).toBeGreaterThan(0);
        expect((await changesIn(layer)).filter((change) => change !== "modified d").toSorted()).toEqual([
          "added full",
          "added kept",
          "added out",
          "added same",
          "deleted d/b",
          "modified d/a",
        ]);
        await within(layer, async (root) => {
          expect((await readdir(root)).toSorted()).toEqual(["big", "d", "full", "kept", "out", "same"]);
          expect(await readdir(join(root, "full"))).toEqual([]);
          expect(await readFile(join(root, "same"), "utf8")).toBe("by the archive");
          expect((await stat(join(root, "same"))).ino).toBe((await stat(join(root, "d/a"))).ino);
        });
        expect(await layer.size()).toBe(14 + 4);
        expect(await scene.snapshots()).toEqual({ committed: [parent.chainId], others: 1 });
        expect(await scene.files()).toEqual({ records: [expect.any(String)], scratch: [] });
        // Later ones fall on what earlier ones have made, and its parent is as it was.
        await layer.apply(once(layerOf([whiteout("same"), file("d/b", "b again")])));
        await within(layer, async (root) => {
          expect((await readdir(root)).toSorted()).toEqual(["big", "d", "full", "kept", "out"]);
          expect(await readFile(join(root, "d/b"), "utf8")).toBe("b again");
        });
        expect((await bytesOf(parent.tarStream())).equals(base)).toBe(true);
        await using committed = await layer.commit();
        expect(committed.diffSize).toBe(14 + 4 + 7);
      },
    );

    // S1.76
    test("owners of what is applied are stored as they are, and seen through the mappings of the layer", async () => {
      await using here = await opened(backend);
      const labels = { [labelUidMapping]: "0:100000:65536", [labelGidMapping]: "0:200000:65536" };
      await using layer = await here.store.createRWLayer("one", { labels });
      await layer.apply(once(layerOf([{ ...file("mine", "m"), uid: 7, gid: 8 }])));
      await within(layer, async (root) => {
        expect(await stat(join(root, "mine"))).toMatchObject({ uid: 100_007, gid: 200_008 });
      });
      await using committed = await layer.commit();
      await using plain = await here.store.createRWLayer("two", { parent: committed.chainId });
      await within(plain, async (root) => {
        expect(await stat(join(root, "mine"))).toMatchObject({ uid: 7, gid: 8 });
      });
    });

    test("without a comparer a layer can be made and mounted, but not compared", async () => {
      await using here = await opened(backend, { comparer: undefined });
      await using layer = await here.store.createRWLayer("one");
      await within(layer, async (root) => writeFile(join(root, "f"), "f"));
      for (const call of [() => layer.size(), () => layer.commit(), () => layer.changes().next()]) {
        await expect(call()).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
      }
    });
  },
);
