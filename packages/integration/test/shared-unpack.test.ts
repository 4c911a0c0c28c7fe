import { once } from "node:events";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { startDockerRegistry, temporaryDirectory } from "@varve-tools/corpus";
import type { DockerRegistry } from "@varve-tools/corpus";
import { openClient } from "@varve/client";
import type { Client, PullOptions } from "@varve/client";
import { withTemporaryMount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chooseSeed, randomFrom } from "../src/faults/random.ts";
import { environment } from "../src/images-under-test.ts";
import { markedOverlay } from "../src/marked-overlay.ts";
import { pushTallImage } from "../src/many-images.ts";
import type { SmallImage } from "../src/many-images.ts";
import { startPuller, startPullers } from "../src/pullers.ts";
import type { PulledLayer, PullerEnd } from "../src/pullers.ts";
import { rounds } from "../src/rounds.ts";
import { compareTrees, readTree } from "../src/tree.ts";
import type { TreeEntry } from "../src/tree.ts";

const { missing } = environment;
const height = 12;
const pullRounds = rounds(100, 10);
const seed = chooseSeed();
const random = randomFrom(seed);
const registryOptions = { plainHttp: true } as const;

type ProgressEvent = Parameters<NonNullable<PullOptions["onProgress"]>>[0];
type Tree = ReadonlyMap<string, TreeEntry>;

/** There is one of each kind for each blob or layer of an image that is pulled as a whole. */
function isMilestone({ type }: ProgressEvent): boolean {
  return type === "fetched" || type === "applied" || type === "committed";
}

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
      expected = await plainTree(image);
    });
    afterAll(() => registry.close());

    /** Each blob of the image was asked for once. The registry writes its log when it has answered. */
    async function expectFetchedOnce({ blobs }: SmallImage, repository: string): Promise<void> {
      const fetched = async (): Promise<string[]> => blobsOf(repository, await registry.requests());
      await expect.poll(fetched, { timeout: 60_000 }).toEqual(blobs.slice(1).toSorted());
    }

    // C01, G-35
    test("eight processes fetch each blob once and unpack each layer once", async ({ signal }) => {
      await using world = await newWorld();
      const own = await pushTallImage(registry.host, "eight", height);
      const pullers = await startPullers(8, { ...world, reference: own.reference, signal });
      for (const puller of pullers) puller.go();
      const ends = await Promise.all(pullers.map(({ ended }) => ended));
      for (const { status, stderr } of ends) expect(status, stderr).toBe(0);
      expect(unpackedTimes(ends)).toEqual(Array.from({ length: height }, () => 1));
      // Before anybody else pulls it.
      await expectFetchedOnce(own, "eight");
      await expectWhole(world, own, await plainTree(own));
    });

    // C02, K13: in every other round one of them stands in the midst of a layer when the others come, and until it is killed
    test.for([
      { count: 2, times: rounds(10, 4) },
      { count: 8, times: rounds(4, 2) },
    ])(
      "of $count processes all but one are killed at random, and that one has the whole image, again and again",
      { timeout: 1_800_000 },
      async ({ count, times }, { signal }) => {
        let whole = 500;
        let amidst = 0;
        for (let round = 0; round < times; round += 1) {
          await using world = await newWorld();
          const standsAt = round % 2 === 0 ? undefined : 1 + ((round * 5) % height);
          const options = { ...world, reference: image.reference, signal };
          const [last, ...others] = await startPullers(count - 1, options);
          if (last === undefined) throw new Error("unreachable");
          const first = await startPuller({ ...options, standsAt });
          const startedAt = performance.now();
          first.go();
          if (standsAt !== undefined) await first.stands;
          for (const puller of [last, ...others]) puller.go();
          for (const puller of [first, ...others]) puller.killAfter(random() * whole);
          const { status, stderr } = await last.ended;
          expect(status, `round ${round}: ${stderr}`).toBe(0);
          whole = Math.max(200, performance.now() - startedAt);
          const ends = await Promise.all([first, ...others].map(({ ended }) => ended));
          // Those that were not killed have not found anybody at their layers.
          for (const end of ends) expect(end.status ?? 0, end.stderr).toBe(0);
          const left = (await readdir(world.markers)).length;
          expect(left, `round ${round}`).toBeGreaterThanOrEqual(standsAt === undefined ? 0 : 1);
          amidst += left > 0 ? 1 : 0;
          await expectWhole(world, image, expected);
        }
        process.stdout.write(
          `${count} processes: in ${amidst} of ${times} rounds one was killed amidst a layer (VARVE_SEED=${seed})\n`,
        );
      },
    );

    // C05, U-UNP.16
    test(`a pull that is cancelled and tried again at once ${5 * pullRounds} times fails with nothing but the cancellation`, async () => {
      await using world = await newWorld();
      const snapshotters = { overlay: markedOverlay(world.markers) };
      const options = { root: world.root, registry: registryOptions, durability: "none", snapshotters } as const;
      await using client = await openClient(options);
      // Of a pull that has everything to do: what there is once for each blob or layer, and all that is told.
      let [milestones, events] = [0, 0];
      await client.pull(image.reference, {
        onProgress: (event) => {
          events += 1;
          if (isMilestone(event)) milestones += 1;
        },
      });
      await forgetImage(client, image.reference);
      let cancelled = 0;
      for (let round = 0; round < pullRounds; round += 1) {
        const pulls: { readonly reason: unknown; readonly ended: Promise<unknown> }[] = [];
        for (let attempt = 0; attempt < 5; attempt += 1) {
          const stop = new AbortController();
          const reason = new Error(`round ${round}, attempt ${attempt}`);
          // The first finds nothing there, and comes by every milestone: the last of them is never the one.
          let left = 1 + Math.floor(random() * (attempt === 0 ? milestones : events) * 0.9);
          const onProgress = (event: ProgressEvent): void => {
            if (attempt > 0 || isMilestone(event)) left -= 1;
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
      process.stdout.write(`cancelled ${cancelled} of ${5 * pullRounds} (VARVE_SEED=${seed})\n`);
      // At least the first of each round.
      expect(cancelled).toBeGreaterThanOrEqual(pullRounds);
      await client.pull(image.reference);
      await client.close();
      await expectWhole(world, image, expected);
    }, 1_800_000);

    // G-35
    test("two pulls in one process fetch each blob once and unpack each layer once", async () => {
      await using world = await newWorld();
      const own = await pushTallImage(registry.host, "two", height);
      const snapshotters = { overlay: markedOverlay(world.markers) };
      await using client = await openClient({ root: world.root, registry: registryOptions, snapshotters });
      const ends = await Promise.all([1, 2].map(() => client.pull(own.reference)));
      expect(unpackedTimes(ends)).toEqual(Array.from({ length: height }, () => 1));
      await expectFetchedOnce(own, "two");
      await client.close();
      await expectWhole(world, own, await plainTree(own));
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

function blobsOf(repository: string, requests: readonly string[]): string[] {
  const fetched = requests.filter((one) => one.startsWith(`GET /v2/${repository}/blobs/`));
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

/** As it is unpacked by one, one layer after the other, each when it is there. */
async function plainTree(one: SmallImage): Promise<Tree> {
  await using directory = await temporaryDirectory();
  const plainly = { parallelUnpack: false, followWhileFetching: false, registry: registryOptions };
  await using client = await openClient({ root: directory.path, ...plainly });
  await client.pull(one.reference);
  return await treeOf(client, one);
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
