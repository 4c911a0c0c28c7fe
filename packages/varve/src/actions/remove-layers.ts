import type { LayerStore } from "@varve/client";
import { parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import type { CommandRun } from "../command-run.ts";
import { withClient } from "../globals.ts";
import { removeEach } from "./remove.ts";

/** What stands on another may be named after it. */
export async function removeLayers(names: readonly string[], run: CommandRun): Promise<void> {
  const chainIds = names.map(parseDigest);
  await withClient(run.options, async (client) => {
    const store = await client.layerStore();
    const gone = new Set<string>();
    const remove = async (chainId: Digest, signal: AbortSignal): Promise<readonly string[]> => {
      // It went with one that stood on it.
      if (gone.has(chainId)) return [];
      const layer = await store.get(chainId, { signal });
      const removed = (await layer.release({ signal })).map((each) => each.chainId);
      if (removed.length === 0) throw await whyItStays(store, chainId, signal);
      for (const each of removed) gone.add(each);
      return removed;
    };
    await removeEach(await topmostFirst(store, chainIds, run.signal), run, remove);
  });
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

async function whyItStays(store: LayerStore, chainId: Digest, signal: AbortSignal): Promise<CodedError> {
  for await (const { chainId: above, parent } of store.list({ signal })) {
    if (parent === chainId) return stays(chainId, `layer ${above} stands on it`);
  }
  for await (const { name, parent } of store.listRWLayers({ signal })) {
    if (parent === chainId) return stays(chainId, `read-write layer ${name} stands on it`);
  }
  return stays(chainId, "somebody else refers to it");
}

function stays(chainId: Digest, why: string): CodedError {
  return new CodedError("ERR_FAILED_PRECONDITION", `layer ${chainId}: cannot be removed: ${why}`);
}
