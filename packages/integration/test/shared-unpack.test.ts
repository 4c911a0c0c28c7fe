import { once } from "node:events";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { startDockerRegistry, temporaryDirectory } from "@varve-tools/corpus";
import type { DockerRegistry } from "@varve-tools/corpus";
import { openClient } from "@varve/client";
import type { Client } from "@varve/client";
import { withTemporaryMount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { environment } from "../src/images-under-test.ts";
import { markedOverlay } from "../src/marked-overlay.ts";
import { pushTallImage } from "../src/many-images.ts";
import type { SmallImage } from "../src/many-images.ts";
import { startPullers } from "../src/pullers.ts";
import type { PulledLayer, PullerEnd } from "../src/pullers.ts";
import { compareTrees, readTree } from "../src/tree.ts";
import type { TreeEntry } from "../src/tree.ts";

const { missing } = environment;
const height = 12;
const registryOptions = { plainHttp: true } as const;

type Tree = ReadonlyMap<string, TreeEntry>;

/** Removes the image and all that it was unpacked to. */
async function forgetImage(client: Client, reference: string): Promise<void> {
  await client.images.delete(reference);
  expect(await client.gc()).toMatchObject({ failed: [] });
  const left = await Array.fromAsync((await client.snapshotter()).walk());
  expect(left).toEqual([]);
}

describe.skipIf(missing !== undefined)(
  `one image for several at once (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    let registry: DockerRegistry;
    let image: SmallImage;
    let expected: Tree;

    beforeAll(async () => {
      registry = await startDockerRegistry();
      image = await pushTallImage(registry.host, "tall", height);
      // By one, one layer after the other, each when it is there.
      await using directory = await temporaryDirectory();
      const plainly = { parallelUnpack: false, followWhileFetching: false, registry: registryOptions };
      await using client = await openClient({ root: directory.path, ...plainly });
      await client.pull(image.reference);
      expected = await treeOf(client, image);
    });
    afterAll(() => registry.close());

    // C01, G-35
    test("eight processes fetch each blob once and unpack each layer once", async ({ signal }) => {
      await using world = await newWorld();
      const before = (await registry.requests()).length;
      const pullers = await startPullers(8, { ...world, reference: image.reference, signal });
      for (const puller of pullers) puller.go();
      const ends = await Promise.all(pullers.map(({ ended }) => ended));
      for (const { status, stderr } of ends) expect(status, stderr).toBe(0);
      expect(unpackedTimes(ends)).toEqual(Array.from({ length: height }, () => 1));
      const fetched = blobsIn((await registry.requests()).slice(before));
      expect(fetched).toEqual(image.blobs.slice(1).toSorted());
      await expectWhole(world, image, expected);
    });

    // C02, K13
    test.for([
      { count: 2, rounds: 10 },
      { count: 8, rounds: 3 },
    ])(
      "of $count processes all but one are killed at random, and that one has the whole image, again and again",
      { timeout: 900_000 },
      async ({ count, rounds }, { signal }) => {
        let whole = 500;
        let amidst = 0;
        // A few more if the moments were none.
        for (let round = 0; round < rounds || (amidst === 0 && round < 4 * rounds); round += 1) {
          await using world = await newWorld();
          const [last, ...others] = await startPullers(count, { ...world, reference: image.reference, signal });
          if (last === undefined) throw new Error("unreachable");
          const startedAt = performance.now();
          last.go();
          for (const other of others) {
            other.go();
            other.killAfter(Math.random() * whole);
          }
          const { status, stderr } = await last.ended;
          expect(status, `round ${round}: ${stderr}`).toBe(0);
          whole = Math.max(200, performance.now() - startedAt);
          const ends = await Promise.all(others.map(({ ended }) => ended));
          // Those that were not killed have not found anybody at their layers.
          for (const end of ends) expect(end.status ?? 0, end.stderr).toBe(0);
          amidst += (await readdir(world.markers)).length > 0 ? 1 : 0;
          await expectWhole(world, image, expected);
        }
        process.stdout.write(`${count} processes: in ${amidst} rounds one was killed amidst a layer\n`);
        expect(amidst).toBeGreaterThan(0);
      },
    );

    // C05, U-UNP.16
    test("a pull that is cancelled and tried again at once 500 times fails with nothing but the cancellation", async () => {
      await using world = await newWorld();
      const snapshotters = { overlay: markedOverlay(world.markers) };
      const options = { root: world.root, registry: registryOptions, durability: "none", snapshotters } as const;
      await using client = await openClient(options);
      // Of a pull that has everything to do.
      let events = 0;
      await client.pull(image.reference, { onProgress: () => void (events += 1) });
      await forgetImage(client, image.reference);
      let cancelled = 0;
      for (let round = 0; round < 100; round += 1) {
        const pulls: { readonly reason: unknown; readonly ended: Promise<unknown> }[] = [];
        for (let attempt = 0; attempt < 5; attempt += 1) {
          const stop = new AbortController();
          const reason = new Error(`round ${round}, attempt ${attempt}`);
          let left = Math.ceil(Math.random() * events * 0.9);
          const onProgress = (): void => {
            left -= 1;
            if (left === 0) stop.abort(reason);
          };
          const ended = client
            .pull(image.reference, { signal: stop.signal, onProgress })
            .catch((error: unknown) => error);
          pulls.push({ reason, ended });
          // The next begins while this one is being wound up.
          await Promise.race([ended, once(stop.signal, "abort")]);
        }
        const { layers } = await client.pull(image.reference);
        expect(layers).toHaveLength(height);
        const failures: unknown[] = [];
        for (const { reason, ended } of pulls) {
          const end = await ended;
          if (end === reason) cancelled += 1;
          // Otherwise it was over before it was cancelled.
          else if (end instanceof Error) failures.push(end);
        }
        expect(failures).toEqual([]);
        await forgetImage(client, image.reference);
      }
      process.stdout.write(`cancelled ${cancelled} of 500\n`);
      // At least the first of each round, which finds nothing there.
      expect(cancelled).toBeGreaterThanOrEqual(100);
      await client.pull(image.reference);
      await client.close();
      await expectWhole(world, image, expected);
    }, 900_000);

    // G-35
    test("two pulls in one process fetch each blob once and unpack each layer once", async () => {
      await using world = await newWorld();
      const before = (await registry.requests()).length;
      const snapshotters = { overlay: markedOverlay(world.markers) };
      await using client = await openClient({ root: world.root, registry: registryOptions, snapshotters });
      const ends = await Promise.all([1, 2].map(() => client.pull(image.reference)));
      expect(unpackedTimes(ends)).toEqual(Array.from({ length: height }, () => 1));
      expect(blobsIn((await registry.requests()).slice(before))).toEqual(image.blobs.slice(1).toSorted());
      await client.close();
      await expectWhole(world, image, expected);
    });
  },
);

interface World extends AsyncDisposable {
  readonly root: string;
  readonly markers: string;
}

async function newWorld(): Promise<World> {
  const directory = await temporaryDirectory();
  const [root, markers] = [join(directory.path, "store"), join(directory.path, "markers")];
  await mkdir(markers);
  return { root, markers, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

/** How often each layer was unpacked, over all pulls. */
function unpackedTimes(pulls: readonly { readonly layers: readonly PulledLayer[] }[] | readonly PullerEnd[]): number[] {
  const times = new Map<string, number>();
  for (const { chainId, status } of pulls.flatMap(({ layers }) => layers)) {
    times.set(chainId, (times.get(chainId) ?? 0) + (status === "unpacked" ? 1 : 0));
  }
  return [...times.values()];
}

function blobsIn(requests: readonly string[]): string[] {
  const fetched = requests.filter((one) => one.startsWith("GET") && one.includes("/blobs/"));
  return fetched.map((one) => one.slice(one.indexOf("sha256:"))).toSorted();
}

async function treeOf(client: Client, { reference }: SmallImage): Promise<Tree> {
  const { chainId } = await client.pull(reference);
  const snapshotter = await client.snapshotter();
  const mounts = await snapshotter.view("a look", chainId);
  try {
    return await withTemporaryMount(createLinuxMounter(), mounts, async (root) => readTree(root));
  } finally {
    await snapshotter.remove("a look");
  }
}

/** The tree is that of one plain pull; after a collection nothing else is there. */
async function expectWhole({ root }: World, image: SmallImage, expected: Tree): Promise<void> {
  await using client = await openClient({ root, registry: registryOptions });
  expect(compareTrees(await treeOf(client, image), expected)).toEqual([]);
  expect(await client.gc()).toMatchObject({ failed: [] });
  const snapshots = await Array.fromAsync((await client.snapshotter()).walk());
  expect(snapshots.map(({ kind }) => kind)).toEqual(Array.from({ length: height }, () => "committed"));
  const directories = await readdir(join(root, "snapshots/overlay"));
  expect(directories.filter((name) => !name.startsWith("metadata.db"))).toHaveLength(height);
  expect((await readdir(join(root, "content/ingest"))).filter((name) => name !== "lock")).toEqual([]);
  expect(await readdir(join(root, "mounts")).catch(() => [])).toEqual([]);
}
