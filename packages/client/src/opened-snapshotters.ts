import type { Namespace } from "@varve/metadata";
import type { Snapshotter } from "@varve/snapshots";
import { Lazy } from "./lazy.ts";

/** The snapshotters of a namespace, each opened once: what killed processes have left half unpacked in it goes then. */
export class OpenedSnapshotters {
  readonly #namespace: Namespace;
  readonly #opened: Map<string, Lazy<Snapshotter>> = new Map();

  constructor(namespace: Namespace) {
    this.#namespace = namespace;
  }

  /** @throws ERR_INVALID_ARGUMENT there is none of that name */
  get(name: string): Promise<Snapshotter> {
    const known = this.#opened.get(name) ?? new Lazy(() => this.#open(name));
    this.#opened.set(name, known);
    return known.get();
  }

  async #open(name: string): Promise<Snapshotter> {
    const { removeStaleExtractions } = await import("@varve/unpack");
    const snapshotter = await this.#namespace.snapshotter(name);
    await removeStaleExtractions(snapshotter);
    return snapshotter;
  }
}
