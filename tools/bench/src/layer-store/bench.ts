import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { layersVariable } from "../layer/layer-files.ts";
import { buildLayers } from "../layer/layers.ts";
import type { BenchOptions } from "../options.ts";
import { benchSections } from "../sections/bench-sections.ts";
import { layerStoreSections, layersUnderTest } from "./sections.ts";

/** Registers layers beside a plain unpack, reads their tars beside GNU tar, opens a large store, and prints a table of each. */
export async function benchLayerStore(options: BenchOptions): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "varve-bench-layers-"));
  try {
    const layers = process.env["VARVE_CORPUS"] ?? directory;
    await buildLayers(layers, layersUnderTest);
    process.env[layersVariable] = layers;
    // Each thread strips the types of TypeScript anew; what is installed has none.
    process.env["NODE_COMPILE_CACHE"] = join(directory, "compiled");
    const program = join(import.meta.dirname, "task.ts");
    await benchSections({ sections: layerStoreSections, program, programs: ["tar", "gzip", "zstd"] }, options);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
