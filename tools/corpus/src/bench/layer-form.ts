import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { buildOnce } from "../build-once.ts";
import { exec } from "../shell.ts";

/** How the layers of an image are compressed. */
export type LayerForm = (typeof layerForms)[number];

const layerForms = ["gzip", "zstd", "plain"] as const;

export function isLayerForm(text: string): text is LayerForm {
  return layerForms.some((form) => form === text);
}

/** The same image with its layers in another form, in a layout of its own beside that in gzip. */
export async function layoutInForm(layout: string, form: LayerForm): Promise<string> {
  if (form === "gzip") return layout;
  const formed = `${layout}-${form}`;
  await buildOnce(formed, async () => {
    await rm(formed, { recursive: true, force: true });
    await (form === "zstd" ? compress(layout, formed) : decompress(layout, formed));
  });
  return formed;
}

async function compress(from: string, to: string): Promise<void> {
  await exec("skopeo", ["copy", "-q", "--dest-compress-format=zstd", `oci:${from}:latest`, `oci:${to}:latest`]);
}

/** A layout does not take decompressed layers from one with compressed ones: a directory has to come between. */
async function decompress(from: string, to: string): Promise<void> {
  const between = await mkdtemp(join(to, "..", "plain-"));
  try {
    await exec("skopeo", ["copy", "-q", "--dest-decompress", `oci:${from}:latest`, `dir:${between}`]);
    await exec("skopeo", ["copy", "-q", "--dest-oci-accept-uncompressed-layers", `dir:${between}`, `oci:${to}:latest`]);
  } finally {
    await rm(between, { recursive: true });
  }
}
