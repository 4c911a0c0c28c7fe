import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { exec } from "@varve-tools/corpus";
import { openContentStore } from "@varve/content-fs";
import type { Durability } from "@varve/content-fs";
import { parseDigest } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { fetchBlob } from "@varve/remotes";
import { createRegistryResolver } from "@varve/remotes-registry";
import { measure } from "../measure.ts";
import type { Cost } from "../measure.ts";
import type { Result } from "../sections/result.ts";
import { timed } from "../sections/stopwatch.ts";
import { hostVariable, largeSize, largeVariable, repositories, smallBlobs } from "./registry.ts";

/** What hashes the file `$1` and prints the digest first. */
const hashers = { sha256sum: 'sha256sum "$1"', openssl: 'openssl dgst -sha256 -r "$1"' } as const;

/** Downloads into a file, and hashes it then. */
export async function byCurl(root: string, hasher: keyof typeof hashers, durability: Durability): Promise<Result> {
  const file = join(root, "file");
  const { host, digest } = largeBlob();
  const sync = durability === "full" ? ' && sync "$1"' : "";
  const script = `curl -sf -o "$1" "$2"${sync} && ${hashers[hasher]} > "$1.digest"`;
  const url = `http://${host}/v2/${repositories.large}/blobs/${digest}`;
  const cost = await measure(["bash", "-eo", "pipefail", "-c", script, "bash", file, url], {});
  const [hex] = (await readFile(`${file}.digest`, "utf8")).split(/[ *]/);
  return resultOf(cost, largeSize, `sha256:${hex}`);
}

/** Downloads, hashes and stores. */
export async function byVarve(root: string, durability: Durability): Promise<Result> {
  const { host, digest } = largeBlob();
  await using store = await openContentStore({ root, durability });
  const resolver = createRegistryResolver({ plainHttp: true });
  const descriptor = { mediaType: mediaTypes.ociLayer, digest: parseDigest(digest), size: largeSize };
  const before = { cpu: await mainThreadSeconds(), loop: performance.eventLoopUtilization() };
  const result = await timed(async () => {
    await fetchBlob(descriptor, { content: store, fetcher: resolver.fetcher(`${host}/${repositories.large}`) });
    return { count: largeSize, check: digest };
  });
  const mainThread = {
    cpuSeconds: (await mainThreadSeconds()) - before.cpu,
    utilization: performance.eventLoopUtilization(before.loop).utilization,
  };
  await resolver.close();
  return { ...result, mainThread };
}

/** All layers of an image, into a layout. */
export async function bySkopeo(root: string): Promise<Result> {
  const target = `oci:${join(root, "layout")}:latest`;
  const source = `docker://${process.env[hostVariable]}/${repositories.small}:latest`;
  const cost = await measure(["skopeo", "copy", "-q", "--src-tls-verify=false", source, target], {});
  const { stdout } = await exec("skopeo", ["inspect", "--format", "{{.Digest}}", target]);
  return resultOf(cost, 1, stdout.trim());
}

/** The same into a store, the start of a process included. */
export async function byClient(root: string, durability: Durability): Promise<Result> {
  const program = join(import.meta.dirname, "task.ts");
  const cost = await measure([process.execPath, program, `client here ${durability}`, root], {});
  const blobs = await readdir(join(root, "store/content/blobs/sha256"));
  if (blobs.length !== smallBlobs) throw new Error(`client: ${blobs.length} blobs, not ${smallBlobs}`);
  return resultOf(cost, 1, undefined);
}

/** The same by a client of this process, from its opening to its closing. */
export async function byClientHere(root: string, durability: Durability): Promise<Result> {
  const { openClient } = await import("@varve/client");
  const reference = `${process.env[hostVariable]}/${repositories.small}:latest`;
  return timed(async () => {
    await using client = await openClient({ root: join(root, "store"), registry: { plainHttp: true }, durability });
    const { target } = await client.fetch(reference);
    return { count: 1, check: target.digest };
  });
}

function resultOf(cost: Cost, count: number, check: string | undefined): Result {
  const { wallSeconds, cpuSeconds, peakMegabytes } = cost;
  return { seconds: wallSeconds, cpuSeconds, peakMegabytes, blockedMs: wallSeconds * 1000, count, check };
}

function largeBlob(): { readonly host: string; readonly digest: string } {
  return { host: process.env[hostVariable] ?? "", digest: process.env[largeVariable] ?? "" };
}

/** CPU time of this thread, to the nanosecond: the first field of its statistics in the scheduler. */
async function mainThreadSeconds(): Promise<number> {
  const text = await readFile(`/proc/self/task/${process.pid}/schedstat`, "utf8");
  return Number(text.split(" ")[0]) / 1e9;
}
