import type { Digest } from "@varve/digest";
import { dispatch } from "@varve/images";
import type { Handler, ProgressEvent } from "@varve/images";
import { onlyPlatform, parsePlatform } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { createUnpacker } from "@varve/unpack";
import type { FetchLayerOptions, Unpacker, UnpackerOptions, UnpackPlatform, UnpackResult } from "@varve/unpack";
import { FakeApplier, FakeContent, FakeSnapshotter, FakeStagingApplier, RebasingSnapshotter } from "./fakes.ts";
import type { TestImage, TestLayer } from "./fakes.ts";

export interface HarnessOptions extends Partial<UnpackerOptions> {
  /** Whether snapshotter and applier can work without parents. */
  readonly rebase?: boolean;
  /** Instead of one by `rebase`. */
  readonly snapshotter?: FakeSnapshotter;
}

/** One store with everything around it, and a fetch that tests can hold. */
export class Harness {
  readonly content: FakeContent = new FakeContent();
  readonly snapshotter: FakeSnapshotter;
  readonly applier: FakeApplier;
  readonly platform: UnpackPlatform;
  /** Layers in the order in which their fetch began. */
  readonly fetched: Digest[] = [];
  readonly events: ProgressEvent[] = [];
  /** What to do for a layer instead of storing it at once. */
  readonly fetches: Map<Digest, (layer: TestLayer, options: FetchLayerOptions) => Promise<void>> = new Map();
  readonly walked: Digest[] = [];
  fetching = 0;
  readonly #layers: Map<Digest, TestLayer> = new Map();
  readonly #children: Map<Digest, readonly Descriptor[]> = new Map();
  readonly #options: HarnessOptions;

  constructor(options: HarnessOptions = {}) {
    this.#options = options;
    this.snapshotter =
      options.snapshotter ?? (options.rebase === true ? new RebasingSnapshotter() : new FakeSnapshotter());
    const Applier = options.rebase === true ? FakeStagingApplier : FakeApplier;
    this.applier = new Applier(this.content, this.snapshotter);
    this.platform = {
      matcher: onlyPlatform(parsePlatform("linux/amd64")),
      snapshotter: this.snapshotter,
      snapshotterName: "fake",
      applier: this.applier,
    };
  }

  add(image: TestImage): TestImage {
    this.#children.set(image.manifest.digest, image.children);
    for (const layer of image.layers) this.#layers.set(layer.blob.digest, layer);
    return image;
  }

  /** Holds the fetch of a layer until the returned function is called. */
  hold(layer: TestLayer): () => void {
    const gate = Promise.withResolvers<void>();
    this.fetches.set(layer.blob.digest, async (_, { signal }) => {
      const aborted = Promise.withResolvers<never>();
      signal.addEventListener("abort", () => aborted.reject(signal.reason), { once: true });
      await Promise.race([gate.promise, aborted.promise]);
      this.content.put(layer.bytes);
    });
    return gate.resolve;
  }

  readonly inner: Handler = async (descriptor) => {
    this.walked.push(descriptor.digest);
    return this.#children.get(descriptor.digest) ?? [];
  };

  readonly fetch = async (descriptor: Descriptor, options: FetchLayerOptions): Promise<void> => {
    const layer = this.#layers.get(descriptor.digest);
    if (layer === undefined) throw new Error(`no layer ${descriptor.digest}`);
    this.fetched.push(descriptor.digest);
    this.fetching += 1;
    try {
      options.signal.throwIfAborted();
      await (this.fetches.get(descriptor.digest) ?? (async () => void this.content.put(layer.bytes)))(layer, options);
    } finally {
      this.fetching -= 1;
    }
  };

  unpacker(options: Partial<UnpackerOptions> = {}): Unpacker {
    return createUnpacker({
      platforms: [this.platform],
      fetch: this.fetch,
      content: this.content,
      onProgress: (event) => this.events.push(event),
      ...this.#options,
      ...options,
    });
  }

  /** Pulls as a client does. */
  async pull(images: readonly TestImage[], options: Partial<UnpackerOptions> = {}): Promise<readonly UnpackResult[]> {
    const unpacker = this.unpacker(options);
    try {
      const roots = images.map((image) => image.manifest);
      await dispatch(unpacker.wrap(this.inner), roots, { signal: options.signal });
      return await unpacker.wait();
    } finally {
      await unpacker.close();
    }
  }

  /** Waits until `condition` holds; everything here moves by microtasks and immediates. */
  async until(condition: () => boolean): Promise<void> {
    for (let turn = 0; turn < 1000 && !condition(); turn += 1) await new Promise((resolve) => setImmediate(resolve));
    if (!condition()) throw new Error("the condition never came true");
  }

  /** Lets everything that can go on go on. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}
