import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "@varve-tools/corpus";
import { createDiffer } from "@varve/differ";
import { openLayerStore } from "@varve/layers";
import type { LayerStore, LayerStoreOptions } from "@varve/layers";
import { createLinuxMounter } from "@varve/mount-linux";
import type { Snapshotter } from "@varve/snapshots";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { openOverlaySnapshotter } from "@varve/snapshots-overlay";
import { upperOf } from "../faults/snapshot-world.ts";

export const backends = ["overlay", "native"] as const;
export type Backend = (typeof backends)[number];

const mounter = createLinuxMounter();
/** Of all scenes: its threads take longer to start than most tests do. It is never closed, and keeps no process alive. */
const differ = createDiffer({ mounter });

/** A layer store over a real snapshotter, which can be opened again. */
export class LayerStoreScene implements AsyncDisposable {
  readonly path: string;
  readonly snapshotter: Snapshotter;
  readonly #stack: AsyncDisposableStack;

  private constructor(stack: AsyncDisposableStack, { path, snapshotter }: { path: string; snapshotter: Snapshotter }) {
    this.#stack = stack;
    this.path = path;
    this.snapshotter = snapshotter;
  }

  static async open(backend: Backend): Promise<LayerStoreScene> {
    const stack = new AsyncDisposableStack();
    const { path } = stack.use(await temporaryDirectory());
    const open = backend === "overlay" ? openOverlaySnapshotter : openNativeSnapshotter;
    const snapshotter = stack.use(await open({ root: join(path, "snapshots"), durability: "none" }));
    return new LayerStoreScene(stack, { path, snapshotter });
  }

  /** One more open store in the same root; closed with the scene, if not before. */
  async store(options: Partial<LayerStoreOptions> = {}): Promise<LayerStore> {
    const { snapshotter } = this;
    const root = join(this.path, "layers");
    const parts = { applier: differ, comparer: differ, mounter, snapshotter };
    return this.#stack.use(await openLayerStore({ root, durability: "none", ...parts, ...options }));
  }

  /** Names of all snapshots; the keys of those that are not committed are left out, but counted. */
  async snapshots(): Promise<{ readonly committed: readonly string[]; readonly others: number }> {
    const all = await Array.fromAsync(this.snapshotter.walk());
    const committed = all.filter(({ kind }) => kind === "committed").map(({ name }) => name);
    return { committed: committed.toSorted(), others: all.length - committed.length };
  }

  /** Where the files of a layer without a parent are on disk. */
  async filesOf(chainId: string): Promise<string> {
    const mounts = await this.snapshotter.view("where", chainId);
    await this.snapshotter.remove("where");
    return upperOf(mounts);
  }

  /** Files of tar-split records, and whatever is in the scratch directory. */
  async files(): Promise<{ readonly records: readonly string[]; readonly scratch: readonly string[] }> {
    const root = join(this.path, "layers");
    return { records: await readdir(join(root, "records")), scratch: await readdir(join(root, "scratch")) };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

export async function* once(bytes: Uint8Array, size = 60_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** All of a stream, whose chunks are valid only until the next one. */
export async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}
