import { writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { chainIds, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { pack } from "tar-stream";
import { testStore } from "./store.ts";
import type { TestStore } from "./store.ts";

async function tarOf(name: string, content: string): Promise<Buffer> {
  const tar = pack();
  tar.entry({ name }, content);
  tar.finalize();
  return Buffer.concat(await Array.fromAsync(tar as AsyncIterable<Uint8Array>));
}

/** The tars of two layers. */
export const base: Buffer = await tarOf("etc/base", "base".repeat(500));
export const top: Buffer = await tarOf("etc/top", "top");

const [first, second] = chainIds([digestOf(base), digestOf(top)]);
/** Their chain IDs. */
export const one: Digest = first ?? digestOf(base);
export const two: Digest = second ?? digestOf(top);

/** A store with a layer, and one on it. */
export async function withLayers(): Promise<TestStore> {
  const store = await testStore();
  await writeFile(`${store.path}/base.tar.gz`, gzipSync(base));
  await store.json("layers", "import", `${store.path}/base.tar.gz`);
  await store.run(["layers", "import", "-", "--parent", one], { input: top });
  return store;
}
