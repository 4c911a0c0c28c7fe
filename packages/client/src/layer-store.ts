import { join } from "node:path";
import type { LayerStore } from "@varve/layers";
import { ChainLocks } from "./chain-locks.ts";
import { directoriesFor } from "./directories.ts";
import { layersHolder } from "./layer-store-holder.ts";
import { Lazy } from "./lazy.ts";
import type { Stack } from "./stack.ts";

/** Opens the layer store of a client when it is first asked for. */
export class LayerStoreOpener {
  readonly #stack: Stack;
  readonly #opened: Lazy<LayerStore> = new Lazy(() => this.#open());

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  get(): Promise<LayerStore> {
    return this.#opened.get();
  }

  close(): Promise<void> {
    return this.#opened.close((store) => store.close());
  }

  async #open(): Promise<LayerStore> {
    const { layers } = directoriesFor("the layer store", this.#stack);
    const { openLayerStore } = await import("@varve/layers");
    const { chainLocks, defaultSnapshotter, namespace, opened } = this.#stack;
    const { durability, mountDirectory, mounter } = this.#stack;
    const differ = await this.#stack.differ.get();
    const snapshotter = await opened.get(defaultSnapshotter);
    const store = await openLayerStore({
      // The layers of one snapshotter are not there for another.
      root: join(layers, namespace.name, defaultSnapshotter),
      snapshotter,
      applier: differ,
      comparer: differ,
      mounter,
      mountDirectory,
      holder: layersHolder(namespace.leases, defaultSnapshotter),
      mountedOn: async (snapshot, options = {}) => {
        const { mountPoints } = await import("./mount-records.ts");
        return (await mountPoints({ name: defaultSnapshotter, opened: snapshotter }, options)).get(snapshot)?.[0];
      },
      locks: new ChainLocks(chainLocks, namespace.name),
      durability,
    });
    return this.#reopenable(store);
  }

  /** Whoever has closed a store that was for all is not to leave the next ones with it. */
  #reopenable(store: LayerStore): LayerStore {
    const close = store.close.bind(store);
    let closing: Promise<void> | undefined;
    const forgetAndClose = async (): Promise<void> => {
      await this.#opened.close(async () => undefined);
      await close();
    };
    return Object.assign(store, { close: () => (closing ??= forgetAndClose()) });
  }
}
