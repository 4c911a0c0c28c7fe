import assert from "node:assert/strict";
import { chown, lchown, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { labelGidMapping, labelUidMapping } from "@varve/snapshots";
import type { CreateOptions, Snapshotter } from "@varve/snapshots";
import type { SnapshotterCase } from "../case.ts";
import { ownerOf } from "../files.ts";
import { commitEmpty, layer, list, look, names, rejects } from "../material.ts";

const uids = "0:100000:1000,1000:300000:64536";
const gids = "0:200000:65536";
const mapped = mapping(uids, gids);

/** By what is wrong with them. */
const refused: Readonly<Record<string, string>> = {
  empty: "",
  "of two parts": "0:100000",
  "of four parts": "0:100000:1:1",
  words: "a:b:c",
  negative: "-1:100000:1",
  "with a fraction": "0:100000:1.5",
  "without ids": "0:100000:0",
  "ending early": "0:100000:1,",
  "over 32 bits": "0:4294967290:10",
  "with another option": "0:100000:1,ro",
  "overlapping inside": "0:100000:10,9:200000:10",
  "overlapping outside": "0:100000:10,20:100009:10",
};

export const idMappingCases: readonly SnapshotterCase[] = [
  {
    name: "an id mapping is one of the labels, and its mounts are the same each time",
    rows: ["U-OVL.11"],
    needs: ["id-mapping"],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "base");
      for (const parent of [undefined, "base"]) {
        for (const kind of ["prepare", "view"] as const) {
          const key = `${kind}-${parent}`;
          const mounts = await snapshotter[kind](key, parent, mapped);
          assert.deepEqual(await snapshotter.mounts(key), mounts);
          assert.deepEqual({ ...(await snapshotter.stat(key)).labels }, mapped.labels);
        }
        await snapshotter.commit(`name-${parent}`, `prepare-${parent}`);
        // A commit starts with its own labels, and so without a mapping.
        assert.deepEqual({ ...(await snapshotter.stat(`name-${parent}`)).labels }, {});
        await snapshotter.prepare(`child-${parent}`, `name-${parent}`, mapped);
      }
    },
  },
  {
    name: "an id mapping that there cannot be is refused, and nothing is left",
    rows: ["U-OVL.11"],
    needs: ["id-mapping"],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "base");
      const before = await list(snapshotter.walk());
      for (const [what, text] of Object.entries(refused)) {
        await refuses(snapshotter, mapping(text, gids), `uids ${what}`);
        await refuses(snapshotter, mapping(uids, text), `gids ${what}`);
      }
      assert.deepEqual(await list(snapshotter.walk()), before);
      await snapshotter.prepare("key", "base", mapped);
    },
  },
  {
    name: "an id mapping for users alone, or for groups alone, is refused",
    rows: ["U-OVL.11"],
    needs: ["id-mapping"],
    async run({ open }) {
      const snapshotter = await open();
      await refuses(snapshotter, { labels: { [labelUidMapping]: uids } }, "uids alone");
      await refuses(snapshotter, { labels: { [labelGidMapping]: gids } }, "gids alone");
      assert.deepEqual(await names(snapshotter), []);
    },
  },
  {
    name: "mapped ids show to a program, in what is there and in what is changed",
    rows: ["U-OVL.11"],
    needs: ["mount", "id-mapping", "id-mapped-mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "one" }, fill);
      await layer(context, snapshotter, { name: "two", on: "one" }, (root) => writeFile(join(root, "other"), ""));
      for (const parent of ["one", "two"]) {
        await context.mounted(await snapshotter.view(`view-${parent}`, parent, mapped), assertMapped);
        const key = `key-${parent}`;
        await context.mounted(await snapshotter.prepare(key, parent, mapped), async (root) => {
          await assertMapped(root);
          await chown(join(root, "file"), 100_007, 200_009);
          assert.deepEqual(await ownerOf(join(root, "file")), [100_007, 200_009]);
        });
        await snapshotter.commit(`name-${parent}`, key);
        // The files keep the ids of the image.
        await look(context, snapshotter, `name-${parent}`, async (root) => {
          assert.deepEqual(await ownerOf(join(root, "file")), [7, 9]);
          assert.deepEqual(await ownerOf(join(root, "directory/link")), [1001, 5]);
          assert.deepEqual(await ownerOf(root), [0, 0]);
        });
      }
    },
  },
  {
    name: "an id mapping does not show in other snapshots of the same parent",
    rows: ["U-OVL.11"],
    needs: ["mount", "id-mapping", "id-mapped-mount"],
    async run(context) {
      const snapshotter = await context.open();
      await layer(context, snapshotter, { name: "base" }, fill);
      await context.mounted(await snapshotter.prepare("mapped", "base", mapped), async (root) => {
        await assertMapped(root);
        for (const mounts of [await snapshotter.prepare("plain", "base"), await snapshotter.view("view", "base")]) {
          await context.mounted(mounts, async (plain) => {
            assert.deepEqual(await ownerOf(plain), [0, 0]);
            assert.deepEqual(await ownerOf(join(plain, "directory")), [3, 4]);
          });
        }
      });
    },
  },
  {
    name: "a new and empty snapshot with an id mapping belongs to the mapped root",
    rows: ["U-OVL.11", "U-OVL.4"],
    needs: ["mount", "id-mapping", "id-mapped-mount"],
    async run(context) {
      const snapshotter = await context.open();
      for (const kind of ["prepare", "view"] as const) {
        await context.mounted(await snapshotter[kind](kind, undefined, mapped), async (root) => {
          assert.deepEqual(await ownerOf(root), [100_000, 200_000]);
        });
      }
    },
  },
];

function mapping(uid: string, gid: string): CreateOptions & { readonly labels: Readonly<Record<string, string>> } {
  return { labels: { [labelUidMapping]: uid, [labelGidMapping]: gid } };
}

async function refuses(snapshotter: Snapshotter, options: CreateOptions, what: string): Promise<void> {
  await rejects(snapshotter.prepare("key", undefined, options), "ERR_INVALID_ARGUMENT", what);
  await rejects(snapshotter.view("key", undefined, options), "ERR_INVALID_ARGUMENT", what);
}

async function fill(root: string): Promise<void> {
  await mkdir(join(root, "directory"));
  await chown(join(root, "directory"), 3, 4);
  await writeFile(join(root, "file"), "contents");
  await symlink("nowhere", join(root, "directory/link"));
  await lchown(join(root, "directory/link"), 1001, 5);
}

async function assertMapped(root: string): Promise<void> {
  assert.deepEqual(await ownerOf(root), [100_000, 200_000]);
  assert.deepEqual(await ownerOf(join(root, "file")), [100_000, 200_000]);
  assert.deepEqual(await ownerOf(join(root, "directory")), [100_003, 200_004]);
  assert.deepEqual(await ownerOf(join(root, "directory/link")), [300_001, 200_005]);
}
