import type { CallOptions, ContentStore, Labeler } from "@varve/content";
import { CodedError } from "@varve/errors";
import type { ImageStore } from "@varve/images";
import type { LeaseManager } from "@varve/leases";
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
  FetchOptions,
  FetchResult,
  HeldStores,
  MountOptions,
  PullOptions,
  PullResult,
  StoreUsage,
  UnmountOptions,
} from "./client.ts";
import type { Stack } from "./stack.ts";

/** Everything a client does, over the parts it was given. */
export class StoreClient implements Client {
  readonly #stack: Stack;
  readonly #running = new Set<Promise<unknown>>();
  readonly #stop = new AbortController();
  #closing: Promise<void> | undefined;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  get root(): string {
    return this.#stack.root;
  }

  get namespace(): string {
    return this.#stack.namespace.name;
  }

  get namespaces(): NamespaceStore {
    return this.#stack.metadata.namespaces;
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
    return this.#run(options, async (signal) => {
      const { pullImage } = await import("./pull.ts");
      return pullImage(this.#stack, reference, { ...options, signal });
    });
  }

  fetch(reference: string, options: FetchOptions = {}): Promise<FetchResult> {
    return this.#run(options, async (signal) => {
      const { fetchImage } = await import("./fetch.ts");
      return fetchImage(this.#stack, reference, { ...options, signal });
    });
  }

  mount(reference: string, directory: string, options: MountOptions = {}): Promise<void> {
    return this.#run(options, async (signal) => {
      const { mountImage } = await import("./mounts.ts");
      return mountImage(this.#stack, reference, directory, { ...options, signal });
    });
  }

  unmount(directory: string, options: UnmountOptions = {}): Promise<void> {
    return this.#run(options, async (signal) => {
      const { unmountImage } = await import("./mounts.ts");
      return unmountImage(this.#stack, directory, { ...options, signal });
    });
  }

  snapshotter(name: string = this.#stack.defaultSnapshotter): Promise<Snapshotter> {
    return this.#run({}, () => this.#stack.opened.get(name));
  }

  under(lease: string): HeldStores {
    return this.#stack.namespace.under(lease);
  }

  hold<T>(work: (stores: HeldStores) => Promise<T>, options: CallOptions = {}): Promise<T> {
    return this.#run(options, async (signal) => {
      const { underLease } = await import("./under-lease.ts");
      return underLease(this.#stack, work, signal);
    });
  }

  gc(options: CollectOptions = {}): Promise<CollectReport> {
    return this.#run(options, (signal) => this.#stack.metadata.collect({ ...options, signal }));
  }

  why(item: Parameters<Client["why"]>[0], options: CallOptions = {}): Promise<Explanation> {
    return this.#run(options, (signal) => {
      return this.#stack.metadata.why({ namespace: this.namespace, ...item }, { ...options, signal });
    });
  }

  check(options: CheckOptions = {}): Promise<CheckReport> {
    return this.#run(options, (signal) => this.#stack.metadata.check({ ...options, signal }));
  }

  repair(options: CheckOptions = {}): Promise<RepairReport> {
    return this.#run(options, (signal) => this.#stack.metadata.repair({ ...options, signal }));
  }

  usage(options: CallOptions = {}): Promise<StoreUsage> {
    return this.#run(options, async (signal) => {
      const { storeUsage } = await import("./usage.ts");
      return storeUsage(this.#stack, { signal });
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Runs a call that `close` aborts and waits for: it must not lose the stores before it has cleaned up. */
  async #run<T>(
    options: { readonly signal?: AbortSignal | undefined },
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (this.#closing !== undefined)
      throw new CodedError("ERR_FAILED_PRECONDITION", `client of ${this.root}: is closed`);
    const { signal } = options;
    signal?.throwIfAborted();
    const running = work(signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]));
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  async #close(): Promise<void> {
    const { blobs, differ, metadata, resolver, snapshotters } = this.#stack;
    this.#stop.abort(new CodedError("ERR_ABORTED", `client of ${this.root}: was closed`));
    await Promise.allSettled(this.#running);
    const results = await Promise.allSettled([
      resolver.close((one) => one.close()),
      differ.close((one) => one.close()),
      snapshotters.close(),
    ]);
    results.push(...(await Promise.allSettled([metadata.close()])), ...(await Promise.allSettled([blobs.close()])));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }
}
