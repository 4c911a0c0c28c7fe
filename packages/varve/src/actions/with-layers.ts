import type { Client, LayerStore, RWLayer } from "@varve/client";
import type { CommandRun } from "../command-run.ts";
import { withClient } from "../globals.ts";

export interface OpenedLayers {
  readonly client: Client;
  readonly store: LayerStore;
}

/** Opens the layer store that the options mean, and closes it when `body` is done; no layer goes by that. */
export async function withLayerStore<T>(
  { options }: CommandRun,
  body: (opened: OpenedLayers) => Promise<T>,
): Promise<T> {
  return withClient(options, async (client) => body({ client, store: await client.layerStore() }));
}

/** The same with a reference to a read-write layer, which is not released: that would take away a layer that nobody else refers to. */
export async function withRWLayer<T>(
  name: string,
  run: CommandRun,
  body: (layer: RWLayer, opened: OpenedLayers) => Promise<T>,
): Promise<T> {
  return withLayerStore(run, async (opened) =>
    body(await opened.store.getRWLayer(name, { signal: run.signal }), opened),
  );
}
