import { appendFile, lstat, mkdir, readdir, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openClient } from "@varve/client";
import { temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { varve } from "../src/command.ts";
import { fingerprint } from "../src/fingerprint.ts";
import { environment } from "../src/images-under-test.ts";
import { pushTallImage } from "../src/many-images.ts";
import { thorough } from "../src/rounds.ts";
import { compareTrees, readTree } from "../src/tree.ts";
import type { TreeEntry } from "../src/tree.ts";

const { missing } = environment;

/** What somebody else does to the directory of a committed snapshot; `canary` is a directory that is nobody's. */
const damages: readonly {
  readonly what: string;
  /** What `check` says of it. */
  readonly told: string;
  readonly hurt: (directory: string, canary: string) => Promise<void>;
}[] = [
  { what: "deleted", told: "is gone", hurt: (directory) => rm(directory, { recursive: true }) },
  {
    what: "replaced by a link",
    told: "was replaced",
    async hurt(directory, canary) {
      await rename(directory, `${directory}-moved`);
      await symlink(canary, directory);
    },
  },
  {
    what: "emptied of its files",
    told: "is gone",
    hurt: (directory) => rm(join(directory, "fs"), { recursive: true }),
  },
  {
    what: "changed in one file",
    told: "is not as it was committed",
    async hurt(directory) {
      const path = await anyFile(join(directory, "fs"));
      const { atime, mtime } = await lstat(path);
      await appendFile(path, "something else");
      // Whoever covers traces: the size tells.
      await utimes(path, atime, mtime);
    },
  },
];

/** Unless thorough, one of which all the files are read in a moment. */
async function imageToDamage(): Promise<string> {
  if (thorough) return `${environment.registry}/app:oci-gzip`;
  return (await pushTallImage(environment.registry, "damaged", 4)).reference;
}

async function anyFile(directory: string): Promise<string> {
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) return join(entry.parentPath, entry.name);
  }
  throw new Error(`no file in ${directory}`);
}

describe.skipIf(missing !== undefined)(
  `a committed snapshot that somebody else has touched (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    // F12, G-11, G-13
    test.each([
      { snapshotter: "overlay", done: damages },
      // Each time it copies all layers anew.
      { snapshotter: "native", done: damages.filter(({ told }) => told !== "is gone") },
    ])(
      "by $snapshotter is found by check, and mended by repair and a pull, with nothing outside touched",
      async ({ snapshotter, done }) => {
        await using directory = await temporaryDirectory();
        const root = join(directory.path, "store");
        const canary = join(directory.path, "canary");
        await mkdir(join(canary, "fs"), { recursive: true });
        await writeFile(join(canary, "fs/file"), "nobody's");
        const untouched = fingerprint(canary);
        const reference = await imageToDamage();
        const mounted = join(directory.path, "mounted");
        await mkdir(mounted);
        await using client = await openClient({ root, snapshotter });
        const treeNow = async (): Promise<Map<string, TreeEntry>> => {
          await client.mount(reference, mounted);
          try {
            return readTree(mounted);
          } finally {
            await client.unmount(mounted);
          }
        };
        await client.pull(reference);
        const whole = await treeNow();
        const stores = join(root, "snapshots", snapshotter);
        for (const { what, told, hurt } of done) {
          // Neither the first of its layers nor the last: something stands on it, and it stands on something.
          const ids = (await readdir(stores)).filter((name) => /^\d+$/.test(name)).toSorted(byNumber);
          await hurt(join(stores, ids[1] ?? ""), canary);
          const check = await varve(["check", `--root=${root}`]);
          expect(check, what).toMatchObject({ status: 5, stdout: expect.stringContaining(told) });
          expect((await client.repair()).pullAgain, what).toEqual([reference]);
          await client.pull(reference);
          expect(compareTrees(await treeNow(), whole), what).toEqual([]);
        }
        const last = await varve(["check", `--root=${root}`]);
        expect(last, last.stdout + last.stderr).toMatchObject({ status: 0 });
        expect(fingerprint(canary)).toEqual(untouched);
      },
    );
  },
);

function byNumber(a: string, b: string): number {
  return Number(a) - Number(b);
}
