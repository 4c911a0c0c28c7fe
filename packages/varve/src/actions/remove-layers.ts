import type { Layer, LayerStore } from "@varve/client";
import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import type { CommandRun } from "../command-run.ts";
import { chainIdIn } from "./layer-name.ts";
import { removeEach } from "./remove.ts";
import { withLayerStore } from "./with-layers.ts";

/** What stands on another may be named after it. */
export async function removeLayers(words: readonly string[], run: CommandRun): Promise<void> {
  // A word that is nothing at all is told before anything is removed.
  const chainIds = words.map(chainIdIn).filter((chainId) => chainId !== undefined);
  const names = words.filter((word) => chainIdIn(word) === undefined);
  await withLayerStore(run, async ({ store }) => {
    const removal = new Removal(store);
    const ordered = [...names, ...(await topmostFirst(store, chainIds, run.signal))];
    await removeEach(ordered, run, (word, signal) => removal.remove(word, signal));
  });
}

class Removal {
  readonly #store: LayerStore;
  /** What stays though nothing stands on it any more. */
  readonly #kept = new Map<Digest, Layer>();
  readonly #gone = new Set<string>();

  constructor(store: LayerStore) {
    this.#store = store;
  }

  /** @returns all that is gone, the topmost first */
  async remove(word: string, signal: AbortSignal): Promise<readonly string[]> {
    // It went with one that stood on it.
    if (this.#gone.has(word)) return [];
    const chainId = chainIdIn(word);
    const removed = chainId === undefined ? await this.#removeRW(word, signal) : await this.#removeOne(chainId, signal);
    for (const each of removed) this.#gone.add(each);
    return removed;
  }

  async #removeOne(chainId: Digest, signal: AbortSignal): Promise<readonly string[]> {
    const kept = this.#kept.get(chainId);
    this.#kept.delete(chainId);
    const released = (await kept?.release({ signal })) ?? [];
    // The last reference takes it along; without one, or if somebody else has it, this removes it or says why it stays.
    const removed = released.length > 0 ? released : await this.#store.remove(chainId, { signal });
    return removed.map((layer) => layer.chainId);
  }

  /** Who has made a layer to stand on did not mean it to go with what stood on it first. */
  async #removeRW(name: string, signal: AbortSignal): Promise<readonly string[]> {
    const layer = await this.#store.getRWLayer(name, { signal });
    if (layer.parent !== undefined) await this.#keep(layer.parent, signal);
    const removed = (await layer.release({ signal })).map(({ chainId }) => chainId);
    for await (const { name: other } of this.#store.listRWLayers({ signal })) {
      if (other === name) throw stays(name);
    }
    return [name, ...removed];
  }

  async #keep(chainId: Digest, signal: AbortSignal): Promise<void> {
    if (this.#kept.has(chainId)) return;
    try {
      this.#kept.set(chainId, await this.#store.get(chainId, { signal }));
    } catch (error) {
      // Of a layer that is lost there is nothing to keep.
      if (!hasCode(error, "ERR_DATA_LOSS")) throw error;
    }
  }
}

async function topmostFirst(store: LayerStore, chainIds: readonly Digest[], signal: AbortSignal): Promise<Digest[]> {
  const placed: { readonly chainId: Digest; readonly depth: number }[] = [];
  for (const chainId of chainIds) placed.push({ chainId, depth: await depthOf(store, chainId, signal) });
  return placed.toSorted((a, b) => b.depth - a.depth).map(({ chainId }) => chainId);
}

async function depthOf(store: LayerStore, chainId: Digest, signal: AbortSignal): Promise<number> {
  try {
    return (await store.stat(chainId, { signal })).depth;
  } catch (error) {
    // Whoever removes it says so.
    if (hasCode(error, "ERR_NOT_FOUND")) return 0;
    throw error;
  }
}

function stays(name: string): CodedError {
  const why = "cannot be removed: somebody else refers to it";
  return new CodedError("ERR_FAILED_PRECONDITION", `read-write layer ${name}: ${why}`);
}
