import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { buildOnce } from "../build-once.ts";
import { buildDebian } from "../corpus.ts";
import { buildBigFile } from "./big-file.ts";
import { layoutInForm } from "./layer-form.ts";
import type { LayerForm } from "./layer-form.ts";
import { buildManyLayers } from "./many-layers.ts";
import { buildNodeApp } from "./node-app.ts";
import { buildTinyLayers } from "./tiny-layers.ts";

/** An image that is for measuring. */
export type BenchImage = "debian" | "node-app" | "big-file" | "many-layers" | "layers-100" | "layers-500";

const builders: Readonly<Record<BenchImage, (directory: string) => Promise<unknown>>> = {
  debian: buildDebian,
  "node-app": buildNodeApp,
  "big-file": buildBigFile,
  "many-layers": buildManyLayers,
  "layers-100": (directory: string) => buildTinyLayers(directory, "layers-100", 100),
  "layers-500": (directory: string) => buildTinyLayers(directory, "layers-500", 500),
};

export function isBenchImage(name: string): name is BenchImage {
  return Object.hasOwn(builders, name);
}

/** Builds an image, or takes what an earlier run finished in the same directory. Resolves to an OCI layout with the tag `latest`. */
export async function buildBenchImage(directory: string, image: BenchImage, form: LayerForm): Promise<string> {
  await mkdir(directory, { recursive: true });
  const layout = join(directory, image);
  await buildOnce(layout, () => builders[image](directory));
  return layoutInForm(layout, form);
}
