import { listLayer } from "@varve/client";
import type { TarEntry } from "@varve/client";
import type { ListOptions } from "../output.ts";
import { printStream } from "../streamed-list.ts";
import { shownBytes } from "../shown-bytes.ts";
import type { CommandRun } from "../command-run.ts";
import { entryJson, entryRow } from "./entry-form.ts";
import { withLayers } from "./layer-source.ts";

/** Nobody knows how wide the columns will be: so wide are most. */
const header = ["MODE".padEnd(10), "OWNER".padEnd(5), "SIZE".padEnd(7), "TIME".padEnd(20), "NAME"];

/** As they come: a layer may have millions of entries. With `--json` the diff ID follows them. */
export async function listLayerFile(name: string, run: CommandRun<ListOptions>): Promise<void> {
  const { options, signal } = run;
  const form = {
    key: "entries",
    header,
    row: entryRow,
    name: (entry: TarEntry) => shownBytes(entry.name),
    json: entryJson,
  };
  await withLayers([name], run, async ([layer]) => {
    if (layer === undefined) return;
    await printStream(
      { ...options, signal },
      form,
      withoutCount(listLayer(layer.open(), { name: layer.name, signal })),
    );
  });
}

/** In the JSON object, `entries` are the entries themselves. */
async function* withoutCount(entries: ReturnType<typeof listLayer>): AsyncGenerator<TarEntry, object, undefined> {
  const { diffId, size } = yield* entries;
  return { diffId, size };
}
