import { execFile } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { openClient } from "@varve/client";
import type { Client, PullResult } from "@varve/client";
import { createMemoryContentStore } from "@varve/content-memory";
import { childrenHandler } from "@varve/images";
import { createRegistryServer } from "@varve/registry-server";
import { createRegistryResolver } from "@varve/remotes-registry";
import { pushImage } from "@varve/remotes";
import { nodeFiles, treeFiles } from "./host-files.ts";
import type { HostFile } from "./host-files.ts";
import { packImage } from "./pack-image.ts";

const isRoot = process.geteuid?.() === 0;
const directory = await mkdtemp(join(tmpdir(), "varve-demo-"));
try {
  await demo();
} finally {
  await rm(directory, { recursive: true, force: true });
}

async function demo(): Promise<void> {
  const content = createMemoryContentStore();
  const server = createRegistryServer({ content: createMemoryContentStore() });
  const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
  const reference = `127.0.0.1:${port}/demo/node:latest`;
  try {
    say("Packing this machine's Node with its libraries, and a real node_modules tree, as a two-layer image");
    const image = await packImage(content, [await nodeFiles(), await moduleFiles()], ["/usr/local/bin/node"]);
    say(`Pushing ${image.digest} to the embedded registry as ${reference}`);
    const registry = createRegistryResolver();
    try {
      await pushImage(image, {
        provider: content,
        pusher: registry.pusher(reference),
        children: childrenHandler(content),
        tags: ["latest"],
      });
    } finally {
      await registry.close();
    }
    const client = await openClient({ root: join(directory, "store") });
    try {
      await pullAndRun(client, reference);
    } finally {
      await client.close();
    }
  } finally {
    await server.close();
    await content.close();
  }
}

async function pullAndRun(client: Client, reference: string): Promise<void> {
  say(`Pulling ${reference} with the ${client.defaultSnapshotter} snapshotter`);
  const result = await client.pull(reference, {
    onProgress: (event) => {
      if (event.type === "fetched") say(`  fetched   ${event.descriptor.digest} ${megabytes(event.descriptor.size)}`);
      if (event.type === "committed") say(`  unpacked  ${event.descriptor.digest}`);
    },
  });
  await printChain(client, result);
  const version = isRoot ? await runMounted(client, reference) : await runUnpacked(client, result);
  say(`node inside the image says ${version}`);
  const again = await client.pull(reference);
  const present = again.layers.filter(({ status }) => status === "exists").length;
  say(`Pulled again in ${Math.round(again.durationMs)} ms: ${present} of ${again.layers.length} layers were there`);
}

/** Some of what the workspace itself has installed. */
async function moduleFiles(): Promise<HostFile[]> {
  const installed = join(import.meta.dirname, "../../../node_modules");
  const trees = ["knip", "publint", "vitest"].map(async (name) =>
    treeFiles(await realpath(join(installed, name)), `/app/node_modules/${name}`),
  );
  return (await Promise.all(trees)).flat();
}

async function printChain(client: Client, result: PullResult): Promise<void> {
  const snapshotter = await client.snapshotter();
  for (const layer of result.layers) {
    const usage = await snapshotter.usage(layer.chainId);
    say(`  snapshot  ${layer.chainId}`);
    say(`            ${megabytes(layer.size)} packed, ${megabytes(usage.bytes)} in ${usage.inodes} inodes unpacked`);
  }
  say(`${result.layers.length} layers for ${result.platform} in ${(result.durationMs / 1000).toFixed(2)} s`);
}

async function runMounted(client: Client, reference: string): Promise<string> {
  const target = join(directory, "rootfs");
  await mkdir(target);
  await client.mount(reference, target);
  try {
    return await run("chroot", [target, "/usr/local/bin/node", "-p", "process.version"]);
  } finally {
    await client.unmount(target);
  }
}

/** Without root nothing is mounted and no owner is changed: the program runs from the snapshot's own directory. */
async function runUnpacked(client: Client, result: PullResult): Promise<string> {
  say("Not root: no mount, no chroot and no chown; running the program from the unpacked directory");
  const snapshotter = await client.snapshotter();
  const [mount] = await snapshotter.view("demo", result.chainId);
  try {
    return await run(join(mount?.source ?? "", "usr/local/bin/node"), ["-p", "process.version"]);
  } finally {
    await snapshotter.remove("demo");
  }
}

async function run(file: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(file, args);
  return stdout.trim();
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function say(text: string): void {
  console.log(text);
}
