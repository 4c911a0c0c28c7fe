import { createTarWriter } from "@varve/archive";
import type { Digest } from "@varve/digest";
import type { LayerStore } from "@varve/layers";
import type { Result } from "../sections/result.ts";
import { timed } from "../sections/stopwatch.ts";
import { openParts } from "./parts.ts";

/** Layers of a chain. */
const depth = 10;

/** Layers of one small file each. */
export async function fillMany(root: string, count: number): Promise<void> {
  await using parts = await openParts(root, { durability: "none" });
  await using store = await parts.open();
  let parent: Digest | undefined;
  for (let index = 0; index < count; index += 1) {
    const bytes = oneFile(`file ${index}`);
    const layer = await store.register(() => inOne(bytes), { parent: index % depth === 0 ? undefined : parent });
    parent = layer.chainId;
  }
}

export async function openMany(root: string, count: number): Promise<Result> {
  await using parts = await openParts(root);
  const opened: LayerStore[] = [];
  const result = await timed(async () => {
    opened.push(await parts.open());
    return { count };
  });
  for (const store of opened) await store.close();
  return result;
}

export async function listMany(root: string, count: number): Promise<Result> {
  await using parts = await openParts(root);
  await using store = await parts.open();
  return await timed(async () => {
    const all = await Array.fromAsync(store.list());
    if (all.length !== count) throw new Error(`list: ${all.length} layers`);
    return { count };
  });
}

function oneFile(name: string): Buffer {
  const blocks: Buffer[] = [];
  const writer = createTarWriter((block) => blocks.push(Buffer.from(block)));
  const content = Buffer.from(name);
  writer.entry({
    name: content,
    type: "file",
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: { seconds: 1_600_000_000, nanoseconds: 0 },
    size: content.length,
  });
  writer.data(content);
  writer.end();
  return Buffer.concat(blocks);
}

async function* inOne(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield await Promise.resolve(bytes);
}
