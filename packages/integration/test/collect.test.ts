import { chmod, lstat, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { varve } from "../src/command.ts";
import { environment } from "../src/images-under-test.ts";

const { missing } = environment;

interface Layer {
  readonly digest: string;
  readonly chainId: string;
}

describe.skipIf(missing !== undefined)(
  `what is kept and what goes (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    // G-41, G-40, I4
    test("the chain of references of a real layer is told, and without its image nothing is left on disk", async () => {
      await using directory = await temporaryDirectory();
      const root = join(directory.path, "store");
      const inStore = (...args: string[]): ReturnType<typeof varve> => varve([...args, `--root=${root}`]);
      const reference = `${environment.registry}/app:oci-gzip`;
      // Opens the store and its snapshotter.
      expect(await inStore("snapshots", "ls")).toMatchObject({ status: 0 });
      const empty = await diskUse(root);

      const pulled = await inStore("pull", "--json", reference);
      expect(pulled, pulled.stderr).toMatchObject({ status: 0 });
      const layers: readonly Layer[] = JSON.parse(pulled.stdout).layers;
      const layer = layers[1];
      const why = await inStore("gc", "why", layer?.digest ?? "");
      expect(why, why.stderr).toMatchObject({ status: 0 });
      expect(why.stdout).toContain(reference);
      expect(why.stdout).toContain("containerd.io/gc.ref.content.l.1");
      expect(why.stdout).toContain(layer?.digest);
      const whySnapshot = await inStore("gc", "why", layer?.chainId ?? "");
      expect(whySnapshot, whySnapshot.stderr).toMatchObject({ status: 0 });
      expect(whySnapshot.stdout).toContain("containerd.io/gc.ref.snapshot.overlay");
      expect(whySnapshot.stdout).toContain("parent");

      const dry = JSON.parse((await inStore("gc", "--dry-run", "--json")).stdout);
      expect(dry.removed).toEqual([]);
      await removeAll(inStore, reference);
      expect(await diskUse(root)).toEqual(empty);
    });

    // G-12, F11, promise 4
    test("a flipped bit in a layer is found by check, and mended by repair and a pull", async () => {
      await using directory = await temporaryDirectory();
      const root = join(directory.path, "store");
      const inStore = (...args: string[]): ReturnType<typeof varve> => varve([...args, `--root=${root}`]);
      const reference = `${environment.registry}/app:oci-gzip`;
      const pulled = await inStore("pull", "--json", reference);
      expect(pulled, pulled.stderr).toMatchObject({ status: 0 });
      expect(await inStore("check")).toMatchObject({ status: 0 });

      const [, layer]: readonly Layer[] = JSON.parse(pulled.stdout).layers;
      const path = join(root, "content/blobs", (layer?.digest ?? "").replace(":", "/"));
      const whole = await readFile(path);
      await flipBit(path, whole);

      const check = await inStore("check");
      expect(check.status).toBe(5);
      expect(check.stdout + check.stderr).toContain(layer?.digest);
      const repair = await inStore("repair");
      expect(repair, repair.stderr).toMatchObject({ status: 0 });
      expect(repair.stdout + repair.stderr).toContain(reference);
      const again = await inStore("pull", "--json", reference);
      expect(again, again.stderr).toMatchObject({ status: 0 });
      expect(JSON.parse(again.stdout).layers.map(({ digest }: Layer) => digest)).toContain(layer?.digest);
      expect(await readFile(path)).toEqual(whole);
      const last = await inStore("check");
      expect(last, last.stdout + last.stderr).toMatchObject({ status: 0 });
    });
  },
);

async function removeAll(inStore: (...args: string[]) => ReturnType<typeof varve>, reference: string): Promise<void> {
  const removed = await inStore("images", "rm", reference);
  expect(removed, removed.stderr).toMatchObject({ status: 0 });
  const collected = await inStore("gc");
  expect(collected, collected.stderr).toMatchObject({ status: 0 });
}

interface DiskUse {
  readonly paths: readonly string[];
  readonly bytes: number;
}

/**
 * Every path, and what the files take up; without the databases, whose pages are used again, the locks of layers, which the
 * first unpack makes, the lock of ingests, which is empty, and the blocks of directories, which ext4 does not give back.
 */
async function diskUse(root: string): Promise<DiskUse> {
  const paths: string[] = [];
  let bytes = 0;
  for (const path of await readdir(root, { recursive: true })) {
    if (/\.db(-wal|-shm)?$|^locks\.db|^content\/ingest\/lock$/.test(path)) continue;
    paths.push(path);
    const info = await lstat(join(root, path));
    if (!info.isDirectory()) bytes += info.blocks * 512;
  }
  return { paths: paths.toSorted(), bytes };
}

async function flipBit(path: string, bytes: Buffer): Promise<void> {
  const damaged = Buffer.from(bytes);
  const at = Math.floor(damaged.length / 2);
  damaged[at] = (damaged[at] ?? 0) ^ 1;
  await chmod(path, 0o644);
  await writeFile(path, damaged);
  await chmod(path, 0o444);
}
