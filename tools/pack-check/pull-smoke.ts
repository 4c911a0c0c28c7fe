import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestNode } from "./nodes.ts";
import { execute } from "../shared/execute.ts";

/** The whole way of one image through the packed packages: store, push, pull in the command's own process, find it there, and why. */
const program = `
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openClient } from "@varve/client";
import { writeBlob } from "@varve/content";
import { createMemoryContentStore } from "@varve/content-memory";
import { digestOf } from "@varve/digest";
import { childrenHandler } from "@varve/images";
import { createRegistryServer } from "@varve/registry-server";
import { createRegistryResolver } from "@varve/remotes-registry";
import { pushImage } from "@varve/remotes";

const content = createMemoryContentStore();
async function put(mediaType, bytes) {
  const digest = await writeBlob(content, mediaType, bytes);
  return { mediaType, digest, size: bytes.length };
}
const oci = "application/vnd.oci.image.";
// An archive of nothing: two blocks of zeros.
const layer = await put(oci + "layer.v1.tar", Buffer.alloc(1024));
const rootfs = { type: "layers", diff_ids: [layer.digest] };
const config = await put(oci + "config.v1+json", Buffer.from(JSON.stringify({ os: "linux", architecture: "amd64", rootfs })));
const manifest = { schemaVersion: 2, mediaType: oci + "manifest.v1+json", config, layers: [layer] };
const image = await put(manifest.mediaType, Buffer.from(JSON.stringify(manifest)));

const server = createRegistryServer({ content: createMemoryContentStore() });
const { host, port } = await server.listen();
const reference = host + ":" + port + "/smoke:v1";
const resolver = createRegistryResolver();
await pushImage(image, { provider: content, pusher: resolver.pusher(reference), children: childrenHandler(content), tags: ["v1"] });
await resolver.close();

const root = mkdtempSync(join(tmpdir(), "varve-smoke-"));
const args = ["--root=" + root, "--snapshotter=native", "--progress=none", "--json"];
const pull = spawn(process.execPath, [process.argv[2], "pull", ...args, reference], { stdio: ["ignore", "pipe", "inherit"] });
let printed = "";
pull.stdout.on("data", (chunk) => (printed += chunk));
const status = await new Promise((resolve) => pull.once("close", resolve));
const { chainId, layers } = JSON.parse(printed);
if (status !== 0 || chainId !== layer.digest || layers[0].status !== "unpacked") console.log("varve pull: " + status + ": " + printed);
const client = await openClient({ root, snapshotter: "native" });
const again = await client.pull(reference);
if (again.layers[0].status !== "exists") console.log("pull again: " + JSON.stringify(again));
const { kept } = await client.why({ type: "snapshot", id: chainId });
if (!kept) console.log("the snapshot is not kept");
await client.close();
await server.close();
rmSync(root, { recursive: true });
`;

/** Pulls an image with the installed packages on one Node; resolves to what does not work. */
export async function pullSmoke(node: TestNode, consumer: string): Promise<readonly string[]> {
  writeFileSync(join(consumer, "pull-smoke.mjs"), program);
  const command = join(consumer, "node_modules/.bin/varve");
  const options = { cwd: consumer, timeout: 60_000 };
  const args = ["--disable-warning=ExperimentalWarning", "pull-smoke.mjs", command];
  const { ok, output, status } = await execute(node.executable, args, options);
  const problems = output.split("\n").filter(Boolean);
  return ok ? problems : [...problems, `pull-smoke.mjs: ${status}`];
}
