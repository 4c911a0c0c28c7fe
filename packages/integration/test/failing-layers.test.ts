import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "@varve-tools/corpus";
import { openClient } from "@varve/client";
import type { Client } from "@varve/client";
import { chainIds } from "@varve/digest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { unmount } from "../src/faults/disk-image.ts";
import { whyNoFaults } from "../src/faults/missing.ts";
import { blobAt, failingImage, layerIndexes, troubles } from "../src/pulls/failing-image.ts";
import type { Trouble } from "../src/pulls/failing-image.ts";
import { FailingPull } from "../src/pulls/failing-pull.ts";
import { leftovers, ProcessWatch } from "../src/pulls/leftovers.ts";
import { Shelf } from "../src/pulls/shelf.ts";
import { serveShelf } from "../src/pulls/shelf-server.ts";
import type { ShelfServer } from "../src/pulls/shelf-server.ts";
import { everyNth } from "../src/rounds.ts";

const missing = await whyNoFaults([]);
const unpacks = 3;
/** It ends with what is waited for: what is not there then never comes. */
const patiently = { timeout: 60_000 };
/** The lowest, one in the middle and the highest at least. */
const failing = everyNth(layerIndexes, 2);
const nothing: Trouble = { name: "nothing", code: "" };

interface WayOptions {
  readonly followWhileFetching: boolean;
  readonly parallelUnpack: boolean;
}

const plainest: WayOptions = { followWhileFetching: false, parallelUnpack: false };
const fastest: WayOptions = { followWhileFetching: true, parallelUnpack: true };
const ways: readonly WayOptions[] = [
  plainest,
  { followWhileFetching: false, parallelUnpack: true },
  { followWhileFetching: true, parallelUnpack: false },
  fastest,
];

const shelf = new Shelf(() => 0);
const watch = new ProcessWatch();
let directory = "";
let server: ShelfServer;

/** What one error must say, and what must be left: nothing. */
async function expectClean({ at, client, image }: FailingPull): Promise<void> {
  expect(await leftovers(client)).toEqual([]);
  await expect.poll(() => server.open, patiently).toBe(0);
  const chain = chainIds(image.layers.map(({ diffId }) => diffId));
  const snapshots = await Array.fromAsync((await client.snapshotter()).walk());
  const names = new Set(snapshots.map(({ name }) => name));
  // U-UNP.16
  expect(chain.filter((chainId) => names.has(chainId))).toEqual(chain.slice(0, at));
  // Three threads a layer, and none for one that failed.
  expect(watch.workers.size).toBeLessThanOrEqual(3 * unpacks);
}

/** K13: what was committed is used, and what is stored is not asked for. */
async function expectMended(pull: FailingPull): Promise<void> {
  const { at, client, image } = pull;
  await pull[Symbol.asyncDispose]();
  const stored = new Set((await Array.fromAsync(client.content.walk())).map(({ digest }) => digest));
  const before = new Map(server.asked);
  const { layers } = await client.pull(`${server.host}/image:${image.good.tag}`);
  expect(layers.map(({ status }) => status)).toEqual(layerIndexes.map((index) => (index < at ? "exists" : "unpacked")));
  const again = [...server.asked].filter(([digest, times]) => stored.has(digest) && times !== before.get(digest));
  expect(again).toEqual([]);
  expect(await Array.fromAsync(client.content.statuses())).toEqual([]);
}

/** The layer, and no other, is named by the error or by a cause of it. */
function expectNamed(error: unknown, { at, image }: FailingPull, code: string): void {
  expect(error).toMatchObject({ code, message: expect.stringMatching(new RegExp(`^layer ${blobAt(image, at)}: `)) });
  const lines: string[] = [];
  for (let each = error; each instanceof Error; each = each.cause) lines.push(each.message);
  const others = layerIndexes.filter((index) => index !== at).map((index) => blobAt(image, index));
  expect(others.filter((digest) => lines.some((line) => line.includes(digest)))).toEqual([]);
}

function open(root: string, way: WayOptions): Promise<Client> {
  const registry = { retries: 1, retryDelay: 1 };
  return openClient({
    ...way,
    root,
    registry,
    snapshotter: "overlay",
    durability: "none",
    maxConcurrentUnpacks: unpacks,
  });
}

describe.skipIf(missing !== undefined)(
  `an image of which one layer fails (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    let sockets = 0;
    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), "varve-failing-"));
      watch.start();
      sockets = await watch.sockets();
      server = await serveShelf(shelf);
    });
    afterAll(async () => {
      watch.stop();
      await rm(directory, { recursive: true, force: true });
    });

    describe.each(ways)("following $followWhileFetching, parallel $parallelUnpack", (way) => {
      let client: Client;
      beforeAll(async () => {
        client = await open(await mkdtemp(join(directory, "store-")), way);
      });
      afterAll(() => client.close());

      // S0.5, S0.11-S0.13, S4.11, U-UNP.14, U-UNP.16, U-UNP.17
      test.each(troubles)(
        "a layer that $name, each in turn: one error, nothing left, and the next pull goes on",
        async (trouble) => {
          for (const at of failing) {
            await using scene = new FailingPull(server, client, {
              image: failingImage(shelf, at, trouble),
              at,
              answer: trouble.answer?.(),
            });
            expectNamed(await scene.fail(), scene, trouble.code);
            await expectClean(scene);
            await expectMended(scene);
          }
        },
      );

      // S4.13, U-UNP.19, C05
      test("an abort at each layer in turn: the reason itself, nothing left, and the next pull goes on", async () => {
        for (const at of failing) {
          const controller = new AbortController();
          const reason = new Error("enough");
          const image = failingImage(shelf, at, nothing);
          await using scene = new FailingPull(server, client, { image, at, answer: () => controller.abort(reason) });
          expect(await scene.fail({ signal: controller.signal })).toBe(reason);
          await expectClean(scene);
          await expectMended(scene);
        }
      });
    });

    describe.each([plainest, fastest])("following $followWhileFetching, parallel $parallelUnpack", (way) => {
      // F10: more than fits between the threads, so that the layer is at work when they end
      test("the threads of each layer in turn are killed: one error, nothing left, and the next pull goes on", async () => {
        await using client = await open(await mkdtemp(join(directory, "store-")), way);
        for (const at of failing) {
          const image = failingImage(shelf, at, nothing, Buffer.alloc(6_000_000, `${at} ${way.parallelUnpack}`));
          await using scene = new FailingPull(server, client, { image, at });
          const killed: Promise<number>[] = [];
          const error = await scene.fail({
            onProgress: (event) => {
              if (event.type !== "applying" || killed.length > 0) return;
              if (event.descriptor.digest === blobAt(image, at))
                killed.push(...[...watch.workers].map((worker) => worker.terminate()));
            },
          });
          await Promise.all(killed);
          expect(killed.length).toBeGreaterThan(1);
          expectNamed(error, scene, "ERR_INTERNAL");
          await expectClean(scene);
          await expectMended(scene);
        }
      });

      // F01: what is random fills the disk as a blob, or as files when those are ahead; the other one only as files
      test.each([
        ["the files", (at: number) => Buffer.alloc(12_000_000, `${at}`)],
        ["the blob", () => randomBytes(12_000_000)],
      ])(
        "there is no room for %s of each layer in turn: one error, nothing left, and with room the next pull goes on",
        async (_what, fill) => {
          for (const at of failing) {
            const root = join(directory, "small");
            await mkdir(root);
            await exec("mount", ["-t", "tmpfs", "-o", "size=8m", "none", root]);
            try {
              await using client = await open(root, way);
              await using scene = new FailingPull(server, client, {
                image: failingImage(shelf, at, nothing, fill(at)),
                at,
              });
              expectNamed(await scene.fail(), scene, "ENOSPC");
              await expectClean(scene);
              await exec("mount", ["-o", "remount,size=64m", root]);
              await expectMended(scene);
            } finally {
              await unmount(root);
              await rm(root, { recursive: true });
            }
          }
        },
      );
    });

    // U-UNP.19, G-70
    test("after all of this, with the clients closed, there is no thread, no socket, and no error that nobody took", async () => {
      await server[Symbol.asyncDispose]();
      await expect.poll(() => watch.workers.size, patiently).toBe(0);
      await expect.poll(() => watch.sockets(), patiently).toBe(sockets);
      expect(watch.rejections).toEqual([]);
    });
  },
);
