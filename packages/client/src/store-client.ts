import type { CallOptions, ContentStore, Labeler } from "@varve/content";
import type { ComparedLayer } from "@varve/diff";
import { CodedError } from "@varve/errors";
import type { ImageStore } from "@varve/images";
import type { LayerStore } from "@varve/layers";
import type { LeaseManager } from "@varve/leases";
import { createRunningCalls } from "@varve/locks";
import type { RunningCalls } from "@varve/locks";
import type {
  CheckOptions,
  CheckReport,
  CollectOptions,
  CollectReport,
  Explanation,
  NamespaceStore,
  RepairReport,
} from "@varve/metadata";
import type { Snapshotter } from "@varve/snapshots";
import type {
  Client,
  HeldStores,
  MountOptions,
  MountSnapshotOptions,
  SnapshotterOptions,
  StoreUsage,
  UnmountOptions,
} from "./client.ts";
import type {
  ExportImagesOptions,
  FetchOptions,
  FetchResult,
  ImportedImage,
  ImportImagesOptions,
  PullOptions,
  PullResult,
  PushOptions,
  PushResult,
} from "./transfers.ts";
import { closeAll } from "./close-all.ts";
import { LayerStoreOpener } from "./layer-store.ts";
import type { ConsumeChanges, CreateLayerOptions, SnapshotChangeOptions } from "./layers/snapshot-layers.ts";
import type { ConsumeLayer } from "./layers/write-compared.ts";
import type { WriteLayerOptions } from "./layers/write-layer.ts";
import type { Registry } from "./open-registry.ts";
import type { Stack } from "./stack.ts";

/** Everything a client does, over the parts it was given. */
export class StoreClient implements Client {
  readonly #stack: Stack;
  readonly #calls: RunningCalls;
  readonly #layers: LayerStoreOpener;
  #closing: Promise<void> | undefined;

  constructor(stack: Stack) {
    this.#stack = stack;
    this.#calls = createRunningCalls(`client of ${stack.root}`);
    this.#layers = new LayerStoreOpener(stack);
  }

  get root(): string {
    return this.#stack.root;
  }

  get namespace(): string {
    return this.#stack.namespace.name;
  }

  get namespaces(): NamespaceStore {
    return this.#stack.upkeep.namespaces;
  }

  get images(): ImageStore {
    return this.#stack.namespace.images;
  }

  get content(): ContentStore & Labeler {
    return this.#stack.namespace.content;
  }

  get leases(): LeaseManager {
    return this.#stack.namespace.leases;
  }

  get defaultSnapshotter(): string {
    return this.#stack.defaultSnapshotter;
  }

  pull(reference: string, options: PullOptions = {}): Promise<PullResult> {
    return this.#calls.run(options, async (signal) => {
      const { pullImage } = await import("./pull.ts");
      return pullImage(this.#stack, reference, { ...options, signal });
    });
  }

  fetch(reference: string, options: FetchOptions = {}): Promise<FetchResult> {
    return this.#calls.run(options, async (signal) => {
      const { fetchImage } = await import("./fetch.ts");
      return fetchImage(this.#stack, reference, { ...options, signal });
    });
  }

  registry(): Promise<Registry> {
    return this.#calls.run({}, async () => {
      const { hasRepositories } = await import("@varve/remotes");
      const resolver = await this.#stack.resolver.get();
      if (hasRepositories(resolver)) return resolver;
      throw new CodedError("ERR_NOT_IMPLEMENTED", `client of ${this.root}: its resolver knows no repositories`);
    });
  }

  push(name: string, options: PushOptions = {}): Promise<PushResult> {
    return this.#calls.run(options, async (signal) => {
      const { pushStoredImage } = await import("./push.ts");
      return pushStoredImage(this.#stack, name, { ...options, signal });
    });
  }

  import(
    source: string | AsyncIterable<Uint8Array>,
    options: ImportImagesOptions = {},
  ): Promise<readonly ImportedImage[]> {
    return this.#calls.run(options, async (signal) => {
      const { importImages } = await import("./archives.ts");
      return importImages(this.#stack, source, { ...options, signal });
    });
  }

  async *export(
    names: readonly string[],
    options: ExportImagesOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { exportImages } = await import("./archives.ts");
    yield* this.#calls.stream(options, (signal) => exportImages(this.#stack, names, { ...options, signal }));
  }

  exportLayout(names: readonly string[], directory: string, options: ExportImagesOptions = {}): Promise<void> {
    return this.#calls.run(options, async (signal) => {
      const { exportToLayout } = await import("./archives.ts");
      return exportToLayout(this.#stack, names, directory, { ...options, signal });
    });
  }

  mount(reference: string, directory: string, options: MountOptions = {}): Promise<void> {
    return this.#calls.run(options, async (signal) => {
      const { mountImage } = await import("./mounts.ts");
      return mountImage(this.#stack, reference, directory, { ...options, signal });
    });
  }

  mountSnapshot(key: string, directory: string, options: MountSnapshotOptions = {}): Promise<void> {
    return this.#calls.run(options, async (signal) => {
      const { mountSnapshot } = await import("./mounts.ts");
      return mountSnapshot(this.#stack, key, directory, { ...options, signal });
    });
  }

  mountPoints(options: SnapshotterOptions = {}): Promise<ReadonlyMap<string, readonly string[]>> {
    return this.#calls.run(options, async (signal) => {
      const { mountPoints } = await import("./mount-records.ts");
      const name = options.snapshotter ?? this.#stack.defaultSnapshotter;
      return mountPoints({ name, opened: await this.#stack.opened.get(name) }, { signal });
    });
  }

  unmount(directory: string, options: UnmountOptions = {}): Promise<void> {
    return this.#calls.run(options, async (signal) => {
      const { unmountImage } = await import("./mounts.ts");
      return unmountImage(this.#stack, directory, { ...options, signal });
    });
  }

  readChanges(key: string, consume: ConsumeChanges, options: SnapshotChangeOptions = {}): Promise<void> {
    return this.#calls.run(options, async (signal) => {
      const { readChanges } = await import("./layers/compare-snapshots.ts");
      return readChanges(this.#stack, key, consume, { ...options, signal });
    });
  }

  writeLayer(
    key: string,
    consume: ConsumeLayer,
    options: SnapshotChangeOptions & WriteLayerOptions = {},
  ): Promise<ComparedLayer> {
    return this.#calls.run(options, async (signal) => {
      const { writeSnapshotLayer } = await import("./layers/compare-snapshots.ts");
      return writeSnapshotLayer(this.#stack, key, consume, { ...options, signal });
    });
  }

  createLayer(key: string, options: CreateLayerOptions = {}): Promise<ComparedLayer> {
    return this.#calls.run(options, async (signal) => {
      const { createSnapshotLayer } = await import("./layers/compare-snapshots.ts");
      return createSnapshotLayer(this.#stack, key, { ...options, signal });
    });
  }

  snapshotter(name: string = this.#stack.defaultSnapshotter): Promise<Snapshotter> {
    return this.#calls.run({}, () => this.#stack.opened.get(name));
  }

  layerStore(): Promise<LayerStore> {
    return this.#calls.run({}, () => this.#layers.get());
  }

  under(lease: string): HeldStores {
    return this.#stack.namespace.under(lease);
  }

  hold<T>(work: (stores: HeldStores) => Promise<T>, options: CallOptions = {}): Promise<T> {
    return this.#calls.run(options, async (signal) => {
      const { underLease } = await import("./under-lease.ts");
      return underLease(this.#stack, work, signal);
    });
  }

  gc(options: CollectOptions = {}): Promise<CollectReport> {
    return this.#calls.run(options, (signal) => this.#stack.upkeep.collect({ ...options, signal }));
  }

  why(item: Parameters<Client["why"]>[0], options: CallOptions = {}): Promise<Explanation> {
    return this.#calls.run(options, (signal) => {
      return this.#stack.upkeep.why({ namespace: this.namespace, ...item }, { ...options, signal });
    });
  }

  check(options: CheckOptions = {}): Promise<CheckReport> {
    return this.#calls.run(options, (signal) => this.#stack.upkeep.check({ ...options, signal }));
  }

  repair(options: CheckOptions = {}): Promise<RepairReport> {
    return this.#calls.run(options, (signal) => this.#stack.upkeep.repair({ ...options, signal }));
  }

  usage(options: CallOptions = {}): Promise<StoreUsage> {
    return this.#calls.run(options, (signal) => this.#stack.upkeep.usage({ signal }));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#calls.stop();
    await closeAll([() => this.#layers.close()], [() => this.#stack.close()]);
  }
}
