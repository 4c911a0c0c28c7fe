import { infoOf } from "../layer-rows.ts";
import type { CallOptions, Layer, LayerInfo } from "../layer-store.ts";
import type { Referred } from "../layer-rows.ts";
import { createRW, referToRW } from "./create.ts";
import { importRW } from "./import.ts";
import type { ImportRWOptions } from "./import.ts";
import type { CreateRWLayerOptions, ListedRWLayer, RWLayer } from "./rw-layer.ts";
import { mountOf, takeOffIdle, unmountRW } from "./mounts.ts";
import { changesOf } from "./names.ts";
import { RWReference } from "./reference.ts";
import { completeRemoval, releaseRW } from "./remove.ts";
import { dropDeadRWReferences, dropRWReference, mountsOfReference, readyRWAfter } from "./rows.ts";
import type { ReferredRW } from "./rows.ts";
import type { StoreParts } from "../store-parts.ts";

/** Layers that are read from the database at a time. */
const pageSize = 500;

/** What the store of read-only layers does for that of read-write ones. */
export interface ReadOnlySide {
  mustBeOpen(): void;
  hand(referred: Referred): Layer;
}

/** The read-write layers of a store. */
export class RWLayers {
  readonly #parts: StoreParts;
  readonly #readOnly: ReadOnlySide;
  /** References in the hands of callers. */
  readonly #references = new Set<ReferredRW>();

  constructor(parts: StoreParts, readOnly: ReadOnlySide) {
    this.#parts = parts;
    this.#readOnly = readOnly;
  }

  async create(name: string, options: CreateRWLayerOptions): Promise<RWLayer> {
    this.#readOnly.mustBeOpen();
    // Handed out before a close that waits for it goes on, which then ends the reference.
    return this.#parts.calls.run(options, async (signal) =>
      this.#hand(await createRW(this.#parts, name, { ...options, signal })),
    );
  }

  async import(name: string, options: ImportRWOptions): Promise<RWLayer> {
    this.#readOnly.mustBeOpen();
    return this.#parts.calls.run(options, async (signal) =>
      this.#hand(await importRW(this.#parts, name, { ...options, signal })),
    );
  }

  async get(name: string, options: CallOptions): Promise<RWLayer> {
    this.#readOnly.mustBeOpen();
    return this.#hand(await referToRW(this.#parts, name, options));
  }

  async *list({ signal }: CallOptions): AsyncGenerator<ListedRWLayer, void, undefined> {
    this.#readOnly.mustBeOpen();
    for (let last = ""; ;) {
      const after = last;
      const page = await this.#parts.database.read((session) => readyRWAfter(session, after, pageSize), signal);
      for (const layer of page) {
        const { name, parent } = layer;
        yield { name, parent, snapshot: changesOf(layer), mountedOn: await mountOf(this.#parts, layer, { signal }) };
      }
      last = page.at(-1)?.name ?? "";
      if (page.length < pageSize) return;
    }
  }

  /** Layers below those that it removes are only marked. */
  async cleanup(options: CallOptions): Promise<void> {
    await this.#parts.database.free((session) => dropDeadRWReferences(session), options.signal);
    await completeRemoval(this.#parts, options);
    await takeOffIdle(this.#parts, options);
  }

  async close(): Promise<void> {
    // What is busy now is taken off by a cleanup.
    const { database } = this.#parts;
    const all = [...this.#references];
    const mounted = await database.read((session) =>
      all.filter(({ reference }) => (mountsOfReference(session, reference) ?? 0) > 0),
    );
    for (const referred of mounted) await unmountRW(this.#parts, referred, "all", {}).catch(() => undefined);
    await database.freeSoon((session) => {
      for (const { reference } of all) dropRWReference(session, reference);
    });
  }

  #hand(referred: ReferredRW): RWLayer {
    this.#references.add(referred);
    return new RWReference(referred, {
      parts: this.#parts,
      mustBeOpen: () => this.#readOnly.mustBeOpen(),
      hand: (committed) => this.#readOnly.hand(committed),
      release: (released, options) => this.#release(released, options),
    });
  }

  async #release(referred: ReferredRW, options: CallOptions): Promise<readonly LayerInfo[]> {
    const removed = await releaseRW(this.#parts, referred, options);
    this.#references.delete(referred);
    return removed.map(infoOf);
  }
}
