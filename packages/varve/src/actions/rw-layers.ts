import { parseDigest } from "@varve/digest";
import type { CommandRun } from "../command-run.ts";
import { mustHaveOneForm, printResult } from "../output.ts";
import type { ListOptions } from "../output.ts";
import { mustBeName } from "./layer-name.ts";
import { printChanges } from "./print-changes.ts";
import { infoOf } from "./stored-layers.ts";
import { withLayerStore, withRWLayer } from "./with-layers.ts";

interface CreateOptions {
  readonly parent?: string;
  readonly label?: Readonly<Record<string, string>>;
}

export async function createRWLayer(name: string, run: CommandRun<CreateOptions>): Promise<void> {
  const { options, signal } = run;
  mustBeName(name);
  const parent = options.parent === undefined ? undefined : parseDigest(options.parent);
  const layer = await withLayerStore(run, async ({ store }) => {
    const { snapshot } = await store.createRWLayer(name, { parent, labels: options.label, signal });
    return { name, parent, snapshot };
  });
  await printResult(options.json, layer, () => [name]);
}

/** What a read-write layer changes on its parent. */
export async function listLayerChanges(name: string, run: CommandRun<ListOptions>): Promise<void> {
  const { options, signal } = run;
  mustHaveOneForm(options);
  await withRWLayer(name, run, (layer) => printChanges(layer.changes({ signal }), { ...options, signal }));
}

/** Makes a layer of the changes, and leaves them where they are. */
export async function commitRWLayer(name: string, run: CommandRun): Promise<void> {
  const { options, signal } = run;
  const layer = await withRWLayer(name, run, async (changed) => infoOf(await changed.commit({ signal })));
  await printResult(options.json, layer, () => [layer.chainId]);
}
