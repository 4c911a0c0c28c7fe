import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

interface Index {
  readonly manifests: readonly { readonly digest: string }[];
}

interface Manifest {
  readonly layers: readonly { readonly digest: string }[];
}

/** The archives of the only image in an OCI layout, decompressed, the lowest first. */
export async function layerBlobs(layout: string): Promise<Buffer[]> {
  const blob = (digest: string): string => join(layout, "blobs", digest.replace(":", "/"));
  const index = JSON.parse(await readFile(join(layout, "index.json"), "utf8")) as Index;
  const manifest = JSON.parse(await readFile(blob(index.manifests[0]?.digest ?? ""), "utf8")) as Manifest;
  return Promise.all(manifest.layers.map(async ({ digest }) => gunzipSync(await readFile(blob(digest)))));
}
