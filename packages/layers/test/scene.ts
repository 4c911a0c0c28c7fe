import { mkdtemp, mkdir, readdir, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTarWriter } from "@varve/archive";
import { CodedError } from "@varve/errors";
import { openLayerStore } from "@varve/layers";
import type { LayerStore, LayerStoreOptions } from "@varve/layers";
import type { Mounter } from "@varve/mount";
import { DirectorySnapshotter } from "./directory-snapshotter.ts";
import { applier, comparer } from "./tree-differ.ts";

/** Nothing here needs a mount, nor the right to make one. */
const mounter: Mounter = {
  mount: async () => {
    throw new CodedError("ERR_PERMISSION_DENIED", "mount: not in these tests");
  },
  unmount: async () => undefined,
};

/** A layer store whose snapshots are directories, which can be opened again. */
export class Scene implements AsyncDisposable {
  readonly path: string;
  readonly snapshotter: DirectorySnapshotter;
  readonly #stack: AsyncDisposableStack;

  private constructor(stack: AsyncDisposableStack, path: string) {
    this.#stack = stack;
    this.path = path;
    this.snapshotter = new DirectorySnapshotter(join(path, "snapshots"));
  }

  static async open(): Promise<Scene> {
    const stack = new AsyncDisposableStack();
    const path = await realpath(await mkdtemp(join(tmpdir(), "varve-layers-")));
    stack.defer(() => rm(path, { recursive: true, force: true }));
    await mkdir(join(path, "snapshots"));
    return new Scene(stack, path);
  }

  async store(options: Partial<LayerStoreOptions> = {}): Promise<LayerStore> {
    const { snapshotter } = this;
    const root = join(this.path, "layers");
    const parts = { applier, comparer, mounter, snapshotter };
    return this.#stack.use(await openLayerStore({ root, durability: "none", ...parts, ...options }));
  }

  /** Names of committed snapshots, and how many others there are. */
  async snapshots(): Promise<{ readonly committed: readonly string[]; readonly others: number }> {
    const all = await Array.fromAsync(this.snapshotter.walk());
    const committed = all.filter(({ kind }) => kind === "committed").map(({ name }) => name);
    return { committed: committed.toSorted(), others: all.length - committed.length };
  }

  /** Files of records, and what is in the scratch directory. */
  async files(): Promise<{ readonly records: readonly string[]; readonly scratch: readonly string[] }> {
    const root = join(this.path, "layers");
    return { records: await readdir(join(root, "records")), scratch: await readdir(join(root, "scratch")) };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

/** An archive of files, by name; a name that ends with a slash is a directory. */
export function tarOf(files: Readonly<Record<string, string>>): Buffer {
  const blocks: Buffer[] = [];
  const writer = createTarWriter((block) => blocks.push(Buffer.from(block)));
  for (const [name, text] of Object.entries(files)) {
    const content = Buffer.from(text);
    const type = name.endsWith("/") ? "directory" : "file";
    const owner = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
    const mtime = { seconds: 1_600_000_000, nanoseconds: 0 };
    writer.entry({ name: Buffer.from(name), type, mode: 0o755, ...owner, mtime, size: content.length });
    writer.data(content);
  }
  writer.end();
  return Buffer.concat(blocks);
}

export async function* once(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** All of a stream, whose chunks are valid only until the next one. */
export async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}
