import { chainIds, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { BlobInfo, BlobReader, Follower, Labeler, Provider } from "@varve/content";
import type { Applier, ApplyOptions, StagedLayer, StagingApplier } from "@varve/diff";
import { CodedError } from "@varve/errors";
import type { Mount } from "@varve/mount";
import type { Descriptor } from "@varve/oci";
import type { CreateOptions, Rebaser, SnapshotInfo, Snapshotter } from "@varve/snapshots";
import type { Layer } from "@varve/unpack";

type Kind = "active" | "committed" | "view";

interface Entry {
  kind: Kind;
  parent: string | undefined;
  labels: Record<string, string>;
  /** What the layer itself says, by name; `null` is a whiteout. */
  files: Map<string, string | null>;
}

type Hook = (name: string, ...more: unknown[]) => unknown;

/** Snapshots in memory that write down every call. A hook may throw or wait. */
export class FakeSnapshotter implements Snapshotter {
  readonly entries: Map<string, Entry> = new Map();
  readonly calls: string[] = [];
  hooks: { stat?: Hook; prepare?: Hook; commit?: Hook; remove?: Hook; rebase?: Hook; prepareLayer?: Hook } = {};

  async stat(name: string, options?: { signal?: AbortSignal | undefined }): Promise<SnapshotInfo> {
    options?.signal?.throwIfAborted();
    this.calls.push(`stat ${name}`);
    await this.hooks.stat?.(name);
    return this.#info(name);
  }

  async prepare(key: string, parent: string | undefined, options: CreateOptions = {}): Promise<readonly Mount[]> {
    options.signal?.throwIfAborted();
    this.calls.push(`prepare ${key.split(" ")[1]} on ${parent ?? ""}`);
    await this.hooks.prepare?.(key, parent);
    if (this.entries.has(key)) throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${key}: already exists`);
    if (parent !== undefined) this.#committed(parent);
    this.entries.set(key, { kind: "active", parent, labels: { ...options.labels }, files: new Map() });
    return [{ type: "fake", source: key, options: [] }];
  }

  async commit(name: string, key: string, options: CreateOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    this.calls.push(`commit ${name}`);
    await this.hooks.commit?.(name, key);
    if (this.entries.has(name)) throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${name}: already exists`);
    const entry = this.#entry(key);
    this.entries.delete(key);
    this.entries.set(name, { ...entry, kind: "committed", labels: { ...options.labels } });
  }

  async remove(name: string, options?: { signal?: AbortSignal | undefined }): Promise<void> {
    options?.signal?.throwIfAborted();
    this.calls.push(`remove ${name}`);
    await this.hooks.remove?.(name);
    this.#entry(name);
    this.entries.delete(name);
  }

  async *walk(): AsyncIterable<SnapshotInfo> {
    for (const name of this.entries.keys()) yield this.#info(name);
  }

  async update(name: string): Promise<SnapshotInfo> {
    return this.#info(name);
  }
  async usage(): Promise<{ bytes: number; inodes: number }> {
    return { bytes: 0, inodes: 0 };
  }
  async mounts(key: string): Promise<readonly Mount[]> {
    return [{ type: "fake", source: key, options: [] }];
  }
  async view(): Promise<readonly Mount[]> {
    return [];
  }
  async close(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}

  active(): string[] {
    return [...this.entries].filter(([, entry]) => entry.kind === "active").map(([key]) => key);
  }
  committed(): string[] {
    return [...this.entries].filter(([, entry]) => entry.kind === "committed").map(([key]) => key);
  }
  /** The files that one sees in a snapshot. */
  tree(name: string): Record<string, string> {
    const chain: Entry[] = [];
    for (let at: string | undefined = name; at !== undefined; at = this.#entry(at).parent)
      chain.unshift(this.#entry(at));
    const seen: Map<string, string> = new Map();
    for (const entry of chain) {
      for (const [file, text] of entry.files) {
        if (text === null) seen.delete(file);
        else seen.set(file, text);
      }
    }
    return Object.fromEntries([...seen].toSorted(([a], [b]) => a.localeCompare(b)));
  }
  files(mounts: readonly Mount[]): Map<string, string | null> {
    return this.#entry(mounts[0]?.source ?? "").files;
  }
  parentOf(mounts: readonly Mount[]): string | undefined {
    return this.#entry(mounts[0]?.source ?? "").parent;
  }
  setParent(key: string, parent: string): void {
    this.#committed(parent);
    this.#entry(key).parent = parent;
  }

  #entry(name: string): Entry {
    const entry = this.entries.get(name);
    if (entry === undefined) throw new CodedError("ERR_NOT_FOUND", `snapshot ${name}: not found`);
    return entry;
  }
  #committed(name: string): void {
    if (this.#entry(name).kind !== "committed")
      throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${name}: not committed`);
  }
  #info(name: string): SnapshotInfo {
    const { kind, parent, labels } = this.#entry(name);
    return { kind, name, parent, labels, createdAt: new Date(0), updatedAt: new Date(0) };
  }
}

/** One that can give a snapshot its parent late. */
export class RebasingSnapshotter extends FakeSnapshotter implements Rebaser {
  async rebase(key: string, parent: string): Promise<readonly Mount[]> {
    this.calls.push(`rebase ${key.split(" ")[1]} on ${parent}`);
    await this.hooks.rebase?.(key, parent);
    this.setParent(key, parent);
    return this.mounts(key);
  }
}

/** Blobs and ingests in memory. */
export class FakeContent implements Provider, Labeler, Follower {
  readonly blobs: Map<Digest, Uint8Array> = new Map();
  readonly labels: Map<Digest, Record<string, string>> = new Map();
  readonly ingests: Map<string, FakeIngest> = new Map();
  opened: Digest[] = [];

  put(bytes: Uint8Array): Digest {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return digest;
  }

  async open(descriptor: Descriptor): Promise<BlobReader> {
    const bytes = this.blobs.get(descriptor.digest);
    if (bytes === undefined) throw new CodedError("ERR_NOT_FOUND", `content ${descriptor.digest}: not found`);
    this.opened.push(descriptor.digest);
    return {
      size: bytes.length,
      read: async (target, position) => {
        const part = bytes.subarray(position, position + target.length);
        target.set(part);
        return part.length;
      },
      stream: async function* () {
        yield bytes;
      },
      close: async () => {},
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async label(digest: Digest, changes: Record<string, string | undefined>): Promise<BlobInfo> {
    if (!this.blobs.has(digest)) throw new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`);
    const labels = { ...this.labels.get(digest) };
    for (const [name, value] of Object.entries(changes)) if (value !== undefined) labels[name] = value;
    this.labels.set(digest, labels);
    return { digest, size: 0, createdAt: new Date(0), updatedAt: new Date(0), labels };
  }

  ingest(ref: string): FakeIngest {
    const ingest = new FakeIngest();
    this.ingests.set(ref, ingest);
    return ingest;
  }

  async *follow(ref: string, options: { signal?: AbortSignal | undefined } = {}): AsyncIterable<Uint8Array> {
    const ingest = this.ingests.get(ref);
    if (ingest === undefined) throw new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`);
    for (let at = 0; ;) {
      options.signal?.throwIfAborted();
      if (ingest.failure !== undefined) throw ingest.failure;
      const chunk = ingest.chunks[at];
      if (chunk !== undefined) {
        at += 1;
        yield chunk;
      } else if (ingest.ended) return;
      else await ingest.change(options.signal);
    }
  }
}

export class FakeIngest {
  readonly chunks: Uint8Array[] = [];
  ended = false;
  failure: Error | undefined;
  #wake = Promise.withResolvers<void>();

  write(bytes: Uint8Array): void {
    this.chunks.push(bytes);
    this.#changed();
  }
  end(): void {
    this.ended = true;
    this.#changed();
  }
  truncate(): void {
    this.failure = new CodedError("ERR_ABORTED", "ingest: truncated");
    this.#changed();
  }
  async change(signal: AbortSignal | undefined): Promise<void> {
    const aborted = Promise.withResolvers<void>();
    signal?.addEventListener("abort", () => aborted.resolve(), { once: true });
    await Promise.race([this.#wake.promise, aborted.promise]);
  }
  #changed(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}

/** Layers here are text: `+name=value` sets a file, `-name` removes one, `name~text` appends to a file of the layers below. */
function layerBytes(text: string): { plain: Uint8Array; blob: Uint8Array } {
  const plain = new TextEncoder().encode(text);
  return { plain, blob: new TextEncoder().encode(`gz!${text}`) };
}

/** Applies text layers, and counts how many at once. */
export class FakeApplier implements Applier {
  readonly applied: Digest[] = [];
  readonly events: string[] = [];
  running = 0;
  most = 0;
  hook: ((layer: Descriptor, options: ApplyOptions) => unknown) | undefined;
  settleHook: ((layer: Descriptor) => unknown) | undefined;
  readonly content: FakeContent;
  readonly snapshotter: FakeSnapshotter;

  constructor(content: FakeContent, snapshotter: FakeSnapshotter) {
    this.content = content;
    this.snapshotter = snapshotter;
  }

  async apply(layer: Descriptor, mounts: readonly Mount[], options: ApplyOptions = {}): Promise<Descriptor> {
    const text = await this.read(layer, options);
    this.write(text, mounts, this.snapshotter.parentOf(mounts));
    return described(text);
  }

  protected write(text: string, mounts: readonly Mount[], parent: string | undefined): void {
    const files = this.snapshotter.files(mounts);
    for (const line of text.split("\n")) {
      const [name = "", rest = ""] = line.slice(1).split("=");
      if (line.startsWith("+")) files.set(name, rest);
      if (line.startsWith("-")) files.set(name, null);
      if (line.startsWith("~")) {
        const lower = parent === undefined ? {} : this.snapshotter.tree(parent);
        files.set(name, `${files.get(name) ?? lower[name] ?? ""}${rest}`);
      }
    }
  }

  protected async read(layer: Descriptor, options: ApplyOptions): Promise<string> {
    this.running += 1;
    this.most = Math.max(this.most, this.running);
    this.events.push(`start ${layer.digest}`);
    try {
      options.signal?.throwIfAborted();
      await this.hook?.(layer, options);
      options.signal?.throwIfAborted();
      const source = options.source ?? (await this.content.open(layer)).stream();
      let text = "";
      let bytes = 0;
      for await (const chunk of source) {
        options.signal?.throwIfAborted();
        bytes += chunk.length;
        options.onProgress?.(bytes);
        this.events.push(`bytes ${layer.digest} ${bytes}`);
        text += new TextDecoder().decode(chunk);
      }
      if (!text.startsWith("gz!")) throw new CodedError("ERR_INVALID_DATA", "gzip: wrong magic");
      this.applied.push(layer.digest);
      return text.slice(3);
    } finally {
      this.running -= 1;
      this.events.push(`end ${layer.digest}`);
    }
  }
}

/** One that can write a layer before the layers below are there. */
export class FakeStagingApplier extends FakeApplier implements StagingApplier {
  async stage(layer: Descriptor, _mounts: readonly Mount[], options: ApplyOptions = {}): Promise<StagedLayer> {
    const text = await this.read(layer, options);
    const settle = async (rebased: readonly Mount[]): Promise<void> => {
      await this.settleHook?.(layer);
      this.write(text, rebased, this.snapshotter.parentOf(rebased));
    };
    return { descriptor: described(text), settle };
  }
}

function described(text: string): Descriptor {
  const bytes = new TextEncoder().encode(text);
  return { mediaType: "application/vnd.oci.image.layer.v1.tar", digest: digestOf(bytes), size: bytes.length };
}

export interface TestLayer extends Layer {
  readonly bytes: Uint8Array;
}

/** A layer of the given text, not stored yet. */
export function textLayer(text: string): TestLayer {
  const { plain, blob } = layerBytes(text);
  return {
    diff: { mediaType: "application/vnd.oci.image.layer.v1.tar", digest: digestOf(plain), size: plain.length },
    blob: { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: digestOf(blob), size: blob.length },
    bytes: blob,
  };
}

export interface TestImage {
  readonly layers: readonly TestLayer[];
  readonly chain: readonly Digest[];
  readonly config: Descriptor;
  readonly manifest: Descriptor;
  /** What the inner handler answers for the manifest. */
  readonly children: readonly Descriptor[];
}

export interface ImageParts {
  readonly architecture?: string;
  readonly diffIds?: readonly Digest[];
  readonly rootfsType?: string;
}

/** An image whose config is stored and whose layers are not. */
export function textImage(content: FakeContent, texts: readonly string[], parts: ImageParts = {}): TestImage {
  const layers = texts.map((text) => textLayer(text));
  const diffIds = parts.diffIds ?? layers.map((layer) => layer.diff.digest);
  const config = document(content, "application/vnd.oci.image.config.v1+json", {
    os: "linux",
    architecture: parts.architecture ?? "amd64",
    rootfs: { type: parts.rootfsType ?? "layers", diff_ids: diffIds },
  });
  return imageOf(content, config, layers);
}

/** A manifest over a config and layers. */
export function imageOf(content: FakeContent, config: Descriptor, layers: readonly TestLayer[]): TestImage {
  const children = [config, ...layers.map((layer) => layer.blob)];
  const manifest = document(content, "application/vnd.oci.image.manifest.v1+json", {
    schemaVersion: 2,
    config,
    layers: children.slice(1),
  });
  return { layers, chain: chainIds(layers.map((layer) => layer.diff.digest)), config, manifest, children };
}

function document(content: FakeContent, mediaType: string, value: unknown): Descriptor {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return { mediaType, digest: content.put(bytes), size: bytes.length };
}

/** One layer of an image that has it. */
export function layerOf(image: TestImage, index: number): TestLayer {
  const layer = image.layers.at(index);
  if (layer === undefined) throw new Error(`the image has no layer ${index}`);
  return layer;
}
