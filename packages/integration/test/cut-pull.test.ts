import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "@varve-tools/corpus";
import { expect, test } from "vitest";
import { mostOnTheWay, startCuttingProxy } from "../src/cutting-proxy.ts";
import { chooseSeed, randomFrom } from "../src/faults/random.ts";
import { startLargeImageServer } from "../src/large-image-server.ts";
import { rounds } from "../src/rounds.ts";

const mebibyte = 1024 * 1024;
const size = rounds(1024, 192) * mebibyte;
const cuts = rounds(50, 8);
const rate = 80 * mebibyte;
const seed = chooseSeed();
/** What a process has read and passed on by halves: two pieces of a body, and a few of its connection. */
const mostInPieces = mebibyte / 2;
/** What a store may hold while its disk is busy. Who is cut off by a reset brings it to the file, who is killed does not. */
const mostUnwritten = 4 * mebibyte;

/**
 * Places in the blob, in order; the last some way before its end, so that there is something left to cut, and all of them so far
 * from each other that no connection is cut before it has brought anything.
 */
function randomPlaces(random: () => number): number[] {
  const part = (size * 0.97) / cuts;
  return Array.from({ length: cuts }, (_, index) => Math.floor((index + 0.1 + 0.8 * random()) * part));
}

/** Half of them true, in no order. */
function randomHalf(random: () => number): boolean[] {
  const keys = Array.from({ length: cuts }, (_, index) => ({ isFirst: index < cuts / 2, key: random() }));
  return keys.toSorted((a, b) => a.key - b.key).map(({ isFirst }) => isFirst);
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: mebibyte })) hash.update(chunk);
  return hash.digest("hex");
}

/** How much of the layer is in the store: nothing else in it is as large. */
async function sizeOfIngest(root: string): Promise<number> {
  const directory = join(root, "content/ingest");
  const sizes = (await readdir(directory)).map(async (name) => (await stat(join(directory, name))).size);
  return Math.max(...(await Promise.all(sizes)));
}

// B5, G-1, N01, K03
test(`a blob of ${size / mebibyte} MiB that is cut at ${cuts} places, half by a reset and half by SIGKILL, comes whole, and nothing twice that was in its file (VARVE_SEED=${seed})`, async () => {
  await using directory = await temporaryDirectory();
  await using server = await startLargeImageServer(size);
  await using proxy = await startCuttingProxy(server.host, rate);
  const root = join(directory.path, "store");
  const random = randomFrom(seed);
  const isKill = randomHalf(random);
  let [resets, kills] = [0, 0];
  let child: ChildProcess | undefined;
  /** Of the requests that came first after a kill: which one it was, and what was in the file. */
  const resumed: { readonly request: number; readonly size: number }[] = [];
  for (const [index, place] of randomPlaces(random).entries()) {
    proxy.cutAt(place, async (connection) => {
      if (isKill[index] === true && child?.kill("SIGKILL") === true) {
        kills += 1;
        await once(child, "exit");
        resumed.push({ request: server.starts.length, size: await sizeOfIngest(root) });
      } else {
        resets += 1;
        connection.resetAndDestroy();
      }
    });
  }
  const program = join(import.meta.dirname, "../src/fetch-image.ts");
  const startedAt = performance.now();
  for (let status: number | null = null; status === null;) {
    child = spawn(process.execPath, [program, root, `${proxy.host}/large/image:v1`], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    [status] = await once(child, "exit");
    expect([null, 0]).toContain(status);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  process.stderr.write(
    `${resets} resets, ${kills} kills: ${(proxy.sent / size).toFixed(4)} × the blob in ${seconds.toFixed(0)} s\n`,
  );
  expect([resets, kills]).toEqual([cuts / 2, cuts / 2]);
  expect(resumed.map(({ request }) => server.starts[request])).toEqual(resumed.map((one) => one.size));
  const lost = cuts * (mostOnTheWay + mostInPieces) + kills * mostUnwritten;
  expect(proxy.sent).toBeLessThan(size + lost);
  const path = join(root, "content/blobs", server.layer.replace(":", "/"));
  expect(`sha256:${await sha256Of(path)}`).toBe(server.layer);
}, 900_000);
