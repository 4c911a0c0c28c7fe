import { resolve } from "node:path";
import { CodedError } from "@varve/errors";
import type { CommandRun } from "../command-run.ts";
import { printResult } from "../output.ts";
import { withRWLayer } from "./with-layers.ts";

/** Mounts a read-write layer for writing, until somebody unmounts it: it outlives this process. */
export async function mountRWLayer(name: string, dir: string, run: CommandRun): Promise<void> {
  const { options, signal } = run;
  const directory = resolve(dir);
  await withRWLayer(name, run, async (layer, { client }) => {
    const mount = (): Promise<void> => client.mountSnapshot(layer.snapshot, directory, { writable: true, signal });
    await layer.whileUnmounted(mount, { signal });
  });
  await printResult(options.json, { name, directory }, () => [directory]);
}

export async function unmountRWLayer(name: string, run: CommandRun<{ readonly lazy?: boolean }>): Promise<void> {
  const { options, signal } = run;
  const directories = await withRWLayer(name, run, async ({ snapshot }, { client }) => {
    const places = (await client.mountPoints({ signal })).get(snapshot) ?? [];
    if (places.length === 0) throw new CodedError("ERR_NOT_FOUND", `read-write layer ${name}: is mounted nowhere`);
    for (const directory of places) await client.unmount(directory, { lazy: options.lazy, signal });
    return places;
  });
  await printResult(options.json, { name, directories }, () => directories);
}
