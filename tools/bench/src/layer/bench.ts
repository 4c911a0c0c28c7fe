import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isWanted } from "../options.ts";
import type { BenchOptions } from "../options.ts";
import { benchSections } from "../sections/bench-sections.ts";
import { layersVariable } from "./layer-files.ts";
import { buildLayers, layerNames } from "./layers.ts";
import { layerSections } from "./sections.ts";

/** Applies and makes layers, beside GNU tar and what compresses for it, and prints a table of each. */
export async function benchLayers(options: BenchOptions): Promise<void> {
  const asked = layerSections.flatMap(({ title, lines }) =>
    lines.filter(({ name }) => isWanted(`${title}: ${name}`, options.only)),
  );
  const names = layerNames.filter((name) => name === "debian" || asked.some((line) => line.name.startsWith(name)));
  const directory = await mkdtemp(join(tmpdir(), "varve-bench-layers-"));
  try {
    const layers = process.env["VARVE_CORPUS"] ?? directory;
    await buildLayers(layers, names);
    process.env[layersVariable] = layers;
    // Each thread strips the types of TypeScript anew; what is installed has none.
    process.env["NODE_COMPILE_CACHE"] = join(directory, "compiled");
    const program = join(import.meta.dirname, "task.ts");
    await benchSections({ sections: layerSections, program, programs: ["tar", "gzip", "zstd"] }, options);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
