import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { bash, temporaryDirectory } from "@varve-tools/corpus";
import { openContentStore } from "@varve/content-fs";
import { createDiffer } from "@varve/differ";
import type { Differ } from "@varve/differ";
import type { Comparer } from "@varve/diff";
import { withTemporaryMount } from "@varve/mount";
import type { Mount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { mediaTypes } from "@varve/oci";
import type { Snapshotter } from "@varve/snapshots";
import { describe, expect, test } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import { openSnapshots } from "../src/faults/snapshot-world.ts";
import { readTree } from "../src/tree.ts";
import type { TreeEntry } from "../src/tree.ts";

const missing = await whyNoFaults([]);
const why = missing === undefined ? "" : `: ${missing}`;

const makeLower = `
cd "$1"; umask 022
mkdir -p etc/old/deep usr/lib usr/share/doc var/emptied/below moved/inside
for n in $(seq 300); do echo "$n" >usr/share/doc/file-$n; done
echo kept >etc/kept; echo changed >etc/changed; echo gone >etc/old/deep/gone; echo x >var/emptied/below/x
ln etc/kept etc/kept-too; echo inside >moved/inside/file; ln -s etc/kept link
mknod usr/lib/device c 1 3; mkfifo usr/lib/pipe
setfattr -n user.note -v lower etc/changed
`;

/** Each kind of change once, and odd names. */
const change = `
cd "$1"; umask 022
echo more >>etc/changed; setfattr -n user.note -v upper etc/changed
rm -r etc/old; rm -r var/emptied; mkdir var/emptied; echo new >var/emptied/new
rm link; mkdir link; echo file >link/file
rm usr/lib/device; mknod usr/lib/device b 7 9
ln etc/kept usr/kept-again; printf name >"usr/$(printf 'caf\\351')"
chmod 4711 usr/share/doc/file-1; chown 1234:4321 usr/share/doc/file-2
mkdir -m 1777 new; truncate -s 5M new/holes; touch -d @1000000000.123456789 new/holes new
cp /bin/true usr/caps && setcap cap_net_raw+ep usr/caps
touch -d @1234567890 usr/share/doc usr
`;

interface World extends AsyncDisposable {
  readonly differ: Comparer & Differ;
  readonly snapshots: Snapshotter;
  readonly mountDirectory: string;
  readonly ingests: () => Promise<number>;
  readonly treeOf: (mounts: readonly Mount[]) => Promise<Map<string, TreeEntry>>;
  readonly run: (mounts: readonly Mount[], script: string) => Promise<void>;
}

async function openWorld(backend: "native" | "overlay"): Promise<World> {
  const directory = await temporaryDirectory();
  const snapshots = await openSnapshots({ backend, durability: "none" }, directory.path);
  const content = await openContentStore({ root: join(directory.path, "content"), durability: "none" });
  const mounter = createLinuxMounter();
  const mountDirectory = join(directory.path, "mounts");
  mkdirSync(mountDirectory);
  const differ = createDiffer({ content, mounter, mountDirectory, concurrency: 1 });
  return {
    differ,
    snapshots,
    mountDirectory,
    ingests: async () => (await Array.fromAsync(content.statuses())).length,
    treeOf: (mounts) => withTemporaryMount(mounter, mounts, async (root) => readTree(root)),
    run: (mounts, script) => withTemporaryMount(mounter, mounts, async (root) => void (await bash(script, [root]))),
    [Symbol.asyncDispose]: async () => {
      await differ.close();
      await content.close();
      await snapshots.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** Two layers, and what is changed on top of them. */
async function changed(world: World): Promise<readonly Mount[]> {
  const { run, snapshots } = world;
  await run(await snapshots.prepare("a", undefined), makeLower);
  await snapshots.commit("base", "a");
  await run(await snapshots.prepare("b", "base"), 'echo second >"$1/etc/second"; rm "$1/usr/share/doc/file-300"');
  await snapshots.commit("parent", "b");
  const upper = await snapshots.prepare("upper", "parent");
  await run(upper, change);
  return upper;
}

describe.skipIf(missing !== undefined)(`layers made of snapshots (privileged${why})`, () => {
  for (const backend of ["overlay", "native"] as const) {
    test(`${backend}: the layer, applied on the parent, gives the snapshot: active, committed, and from nothing`, async () => {
      await using world = await openWorld(backend);
      const { differ, mountDirectory, snapshots, treeOf } = world;
      const upper = await changed(world);
      const parent = await snapshots.view("parent view", "parent");
      const expected = await treeOf(upper);
      const first = await differ.compare(parent, upper);
      await snapshots.commit("done", "upper");
      const done = await snapshots.view("done view", "done");
      // A committed snapshot is seen through other mounts than an active one, and is the same layer.
      const again = await differ.compare(parent, done, { mediaType: mediaTypes.ociLayerZstd });
      expect(again.diffId).toBe(first.diffId);
      const onParent = await snapshots.prepare("applied", "parent");
      const { digest } = await differ.apply(first.descriptor, onParent);
      expect(digest).toBe(first.diffId);
      expect(await treeOf(onParent)).toEqual(expected);
      const whole = await differ.compare([], done, { mediaType: mediaTypes.ociLayer });
      const onNothing = await snapshots.prepare("whole", undefined);
      await differ.apply(whole.descriptor, onNothing);
      expect(await treeOf(onNothing)).toEqual(expected);
      expect(readdirSync(mountDirectory)).toEqual([]);
    });
  }

  test("both backends give the same list of changes", async () => {
    const results = [];
    for (const backend of ["overlay", "native"] as const) {
      await using world = await openWorld(backend);
      const upper = await changed(world);
      const parent = await world.snapshots.view("parent view", "parent");
      const changes = await Array.fromAsync(world.differ.changes(parent, upper));
      const texts = changes.map(({ kind, path }) => `${kind} ${path.toString("latin1")}`).toSorted();
      // A new name of a lower file takes the file away from its other names in an overlay, and not in a copied tree.
      results.push(texts.filter((text) => !text.endsWith("etc/kept-too")));
    }
    expect(results[0]).toEqual(results[1]);
    expect(results[0]).toContain("deleted etc/old");
  });

  test("an overlay whose upper directory points into the lower one is walked instead", async () => {
    await using world = await openWorld("overlay");
    const { differ, run, snapshots, treeOf } = world;
    const [overlay] = await changed(world);
    if (overlay === undefined) throw new Error("no mounts");
    const upper = [{ ...overlay, options: [...overlay.options, "redirect_dir=on", "metacopy=on"] }];
    await run(upper, 'cd "$1"; mv moved renamed; chmod 600 etc/second');
    const expected = await treeOf(upper);
    const { descriptor } = await differ.compare(await snapshots.view("parent view", "parent"), upper);
    const applied = await snapshots.prepare("applied", "parent");
    await differ.apply(descriptor, applied);
    expect(await treeOf(applied)).toEqual(expected);
  });

  test("aborted at any moment, no ingest and no mount is left", async () => {
    await using world = await openWorld("overlay");
    const { differ, ingests, mountDirectory, snapshots } = world;
    const upper = await changed(world);
    const parent = await snapshots.view("parent view", "parent");
    const reason = new Error("enough");
    for (const [index, lower] of [parent, [], parent, []].entries()) {
      const stop = new AbortController();
      const options = {
        signal: stop.signal,
        onProgress: (bytes: number) => void (bytes > index && stop.abort(reason)),
      };
      const comparing = differ.compare(lower, upper, options);
      if (index === 3) stop.abort(reason);
      await expect(comparing).rejects.toBe(reason);
      expect(readdirSync(mountDirectory)).toEqual([]);
      expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(mountDirectory);
      expect(await ingests()).toBe(0);
    }
    await differ.compare(parent, upper);
  });
});
