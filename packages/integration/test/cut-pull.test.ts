import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "@varve-tools/corpus";
import { expect, test } from "vitest";
import { startCuttingProxy } from "../src/cutting-proxy.ts";
import { startLargeImageServer } from "../src/large-image-server.ts";

const size = 1024 * 1024 * 1024;
const cuts = 50;
const rate = 80 * 1024 * 1024;

/** Places in the blob, in order; some way before its end, so that there is something left to cut. */
function randomPlaces(): number[] {
  const places = Array.from({ length: cuts }, () => Math.floor(Math.random() * size * 0.97));
  return places.toSorted((a, b) => a - b);
}

/** Half of them true, in no order. */
function randomHalf(): boolean[] {
  const keys = Array.from({ length: cuts }, (_, index) => ({ isFirst: index < cuts / 2, key: Math.random() }));
  return keys.toSorted((a, b) => a.key - b.key).map(({ isFirst }) => isFirst);
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk);
  return hash.digest("hex");
}

// B5, G-1, N01, K03; it takes long on a machine that has much else to do.
test(`a blob of 1 GiB that is cut at ${cuts} places, half by a reset and half by SIGKILL, comes whole and hardly a byte twice`, async () => {
  await using directory = await temporaryDirectory();
  await using server = await startLargeImageServer(size);
  await using proxy = await startCuttingProxy(server.host, rate);
  let [resets, kills] = [0, 0];
  let child: ChildProcess | undefined;
  const isKill = randomHalf();
  for (const [index, place] of randomPlaces().entries()) {
    proxy.cutAt(place, async (connection) => {
      if (isKill[index] === true && child?.kill("SIGKILL") === true) {
        kills += 1;
        await once(child, "exit");
      } else {
        resets += 1;
        connection.resetAndDestroy();
      }
    });
  }
  const root = join(directory.path, "store");
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
  const overhead = proxy.sent / size;
  process.stderr.write(
    `${resets} resets, ${kills} kills: ${overhead.toFixed(4)} × the blob in ${seconds.toFixed(0)} s\n`,
  );
  expect([resets, kills]).toEqual([cuts / 2, cuts / 2]);
  expect(overhead).toBeLessThan(1.1);
  const path = join(root, "content/blobs", server.layer.replace(":", "/"));
  expect(`sha256:${await sha256Of(path)}`).toBe(server.layer);
}, 900_000);
