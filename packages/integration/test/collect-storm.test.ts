import { spawn } from "node:child_process";
import { join } from "node:path";
import { startDockerRegistry, temporaryDirectory } from "@varve-tools/corpus";
import { openClient } from "@varve/client";
import { describe, expect, test } from "vitest";
import { environment } from "../src/images-under-test.ts";
import { pushManyImages } from "../src/many-images.ts";

const { missing } = environment;
const seconds = 60;
const processes = 8;
const imageCount = 60;

describe.skipIf(missing !== undefined)(
  `a collector beside pulls (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    // C01, C03, C07, G-44, promise 8
    test(`${processes} processes pull overlapping images for ${seconds} s while a ninth collects all the time`, async () => {
      await using registry = await startDockerRegistry();
      const images = await pushManyImages(registry.host, imageCount);
      await using directory = await temporaryDirectory();
      const root = join(directory.path, "store");

      const pullers = Array.from({ length: processes }, (_, index) => {
        // Each takes half of the images, so that each image has four takers.
        const mine = images.filter((_image, at) => (at + index) % processes < processes / 2);
        return run("pull-loop.ts", [root, String(seconds), ...mine.map(({ reference }) => reference)]);
      });
      const results = await Promise.all([...pullers, run("collect-loop.ts", [root, String(seconds)])]);
      for (const { status, stderr } of results) expect(status, stderr).toBe(0);
      process.stdout.write(`pulls and collections: ${results.map(({ stdout }) => stdout.trim()).join(" ")}\n`);

      const fetched = (await registry.requests()).filter((one) => one.startsWith("GET") && one.includes("/blobs/"));
      const layersAndConfigs = new Set(images.flatMap(({ blobs }) => blobs.slice(1)));
      expect(fetched.map((one) => one.slice(one.indexOf("sha256:"))).toSorted()).toEqual(
        [...layersAndConfigs].toSorted(),
      );

      await using client = await openClient({ root, registry: { plainHttp: true } });
      await client.gc();
      expect(await digestsIn(client)).toEqual(expected(images));

      // Every second one goes.
      for (const [index, image] of images.entries()) if (index % 2 === 0) await client.images.delete(image.reference);
      await client.gc();
      const left = images.filter((_image, index) => index % 2 === 1);
      expect(await digestsIn(client)).toEqual(expected(left));
      const snapshots = await Array.fromAsync((await client.snapshotter()).walk());
      // Odd images stand on all five bases and on five of the ten middles, and have a top each.
      expect(snapshots).toHaveLength(5 + 5 + left.length);
    });
  },
);

type Client = Awaited<ReturnType<typeof openClient>>;

async function digestsIn(client: Client): Promise<string[]> {
  return (await Array.fromAsync(client.content.walk())).map(({ digest }) => digest).toSorted();
}

function expected(images: readonly { readonly blobs: readonly string[] }[]): string[] {
  return [...new Set(images.flatMap(({ blobs }) => blobs))].toSorted();
}

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(script: string, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, "../src", script), ...args]);
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, stdout, stderr }));
  });
}
