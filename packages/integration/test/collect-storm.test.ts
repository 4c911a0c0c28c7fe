import { spawn } from "node:child_process";
import { join } from "node:path";
import { startDockerRegistry, temporaryDirectory } from "@varve-tools/corpus";
import type { DockerRegistry } from "@varve-tools/corpus";
import { openClient } from "@varve/client";
import { describe, expect, test } from "vitest";
import { chooseSeed } from "../src/faults/random.ts";
import { environment } from "../src/images-under-test.ts";
import { pushManyImages } from "../src/many-images.ts";
import { rounds } from "../src/rounds.ts";

const { missing } = environment;
const seconds = rounds(60, 10);
const processes = 8;
const imageCount = rounds(60, 20);
const seed = chooseSeed();
/** Each process pulls all of its images once at least, however long that takes a machine with other work. */
const limitMs = 900_000;

describe.skipIf(missing !== undefined)(
  `a collector beside pulls (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    // C01, C03, C07, G-44, promise 8
    test(
      `${processes} processes pull overlapping images for ${seconds} s while a ninth collects all the time (VARVE_SEED=${seed})`,
      async ({ signal }) => {
        await using registry = await startDockerRegistry();
        const images = await pushManyImages(registry.host, imageCount);
        await using directory = await temporaryDirectory();
        const root = join(directory.path, "store");

        const pullers = Array.from({ length: processes }, (_, index) => {
          // Each takes half of the images, so that each image has four takers.
          const mine = images.filter((_image, at) => (at + index) % processes < processes / 2);
          const options = [String(seconds), String(seed + index)];
          return run("pull-loop.ts", [root, ...options, ...mine.map(({ reference }) => reference)], signal);
        });
        const results = await Promise.all([...pullers, run("collect-loop.ts", [root, String(seconds)], signal)]);
        for (const { status, stderr } of results) expect(status, stderr).toBe(0);
        process.stdout.write(`pulls and collections: ${results.map(({ stdout }) => stdout.trim()).join(" ")}\n`);

        const layersAndConfigs = new Set(images.flatMap(({ blobs }) => blobs.slice(1)));
        // The registry writes a request down when it is over, which its client knows before.
        await expect.poll(() => fetchedFrom(registry), { timeout: 60_000 }).toEqual([...layersAndConfigs].toSorted());

        await using client = await openClient({ root, registry: { plainHttp: true } });
        expect(await collectAndExplain(client, images)).toEqual({ failed: [], missing: [], extra: [] });

        // Every second one goes.
        for (const [index, image] of images.entries()) if (index % 2 === 0) await client.images.delete(image.reference);
        const left = images.filter((_image, index) => index % 2 === 1);
        expect(await collectAndExplain(client, left)).toEqual({ failed: [], missing: [], extra: [] });
        const snapshots = await Array.fromAsync((await client.snapshotter()).walk());
        // Odd images stand on all five bases and on five of the ten middles, and have a top each.
        expect(snapshots).toHaveLength(5 + 5 + left.length);
      },
      limitMs,
    );
  },
);

/** Each blob as often as it was asked for. */
async function fetchedFrom(registry: DockerRegistry): Promise<string[]> {
  const requests = (await registry.requests()).filter((one) => one.startsWith("GET") && one.includes("/blobs/"));
  return requests.map((one) => one.slice(one.indexOf("sha256:"))).toSorted();
}

type Client = Awaited<ReturnType<typeof openClient>>;

/** What a collection could not remove, and the blobs that should be there or not; of the latter, why they are. */
async function collectAndExplain(
  client: Client,
  images: readonly { readonly blobs: readonly string[] }[],
): Promise<{ readonly failed: unknown; readonly missing: unknown; readonly extra: unknown }> {
  const { failed } = await client.gc();
  const present = new Set<string>((await Array.fromAsync(client.content.walk())).map(({ digest }) => digest));
  const wanted = new Set(images.flatMap(({ blobs }) => blobs));
  const extra = [...present].filter((digest) => !wanted.has(digest));
  return {
    failed,
    missing: [...wanted].filter((digest) => !present.has(digest)),
    extra: await Promise.all(extra.map((id) => client.why({ type: "content", id }))),
  };
}

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param signal ends the process with the test */
function run(script: string, args: readonly string[], signal: AbortSignal): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, "../src", script), ...args], { signal });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, stdout, stderr }));
  });
}
