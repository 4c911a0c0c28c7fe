import { readBlob } from "@varve/content";
import { digestAlgorithm, digestHex } from "@varve/digest";
import type { Digest } from "@varve/digest";
import {
  defaultPlatform,
  isAttestationManifest,
  isConfigType,
  isForeignLayerType,
  onlyPlatform,
  parseManifest,
  rankManifests,
} from "@varve/oci";
import type { Descriptor, Manifest } from "@varve/oci";
import { familiarName, parseReference } from "@varve/reference";
import type { ExportArchiveOptions, ImageToExport } from "../image-archive.ts";
import type { Plan } from "./plan.ts";

/** Where a blob is in a layout. */
export function blobPath(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}

/**
 * The `manifest.json` by which Docker finds the images in `blobs`; `undefined` if it can load none of them. Docker knows one image
 * for a name: of an index it is the one for the platform, or the only one that goes along.
 */
export async function dockerDocument(plan: Plan, options: ExportArchiveOptions): Promise<Buffer | undefined> {
  const items = new Map<
    Digest,
    { readonly Config: string; readonly RepoTags: string[]; readonly Layers: readonly string[] }
  >();
  for (const image of plan.images) {
    const chosen = await choose(plan.manifestsOf(image.target), options);
    if (chosen === undefined) continue;
    const { descriptor, manifest } = chosen;
    const item = items.get(descriptor.digest) ?? {
      Config: blobPath(manifest.config.digest),
      RepoTags: [],
      Layers: manifest.layers.map(({ digest }) => blobPath(digest)),
    };
    item.RepoTags.push(...repoTags(image).filter((tag) => !item.RepoTags.includes(tag)));
    items.set(descriptor.digest, item);
  }
  return items.size === 0 ? undefined : Buffer.from(JSON.stringify([...items.values()]));
}

interface Chosen {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
}

async function choose(candidates: readonly Descriptor[], options: ExportArchiveOptions): Promise<Chosen | undefined> {
  const { platform = onlyPlatform(defaultPlatform()), provider, signal } = options;
  const images: Chosen[] = [];
  for (const descriptor of candidates) {
    if (isAttestationManifest(descriptor)) continue;
    const manifest = parseManifest(await readBlob(provider, descriptor, { signal }), descriptor);
    const { config, layers } = manifest;
    if (isConfigType(config.mediaType) && !layers.some(isForeign)) images.push({ descriptor, manifest });
  }
  if (images.length < 2) return images[0];
  const manifests = images.map(({ descriptor }) => descriptor);
  const best = rankManifests({ schemaVersion: 2, manifests }, platform)[0];
  return images.find(({ descriptor }) => descriptor === best);
}

/** Docker wants its `LayerSources` then, and Windows. */
function isForeign({ mediaType }: Descriptor): boolean {
  return isForeignLayerType(mediaType);
}

/** Docker's names have a tag and no digest. */
function repoTags({ names = [] }: ImageToExport): readonly string[] {
  return names.flatMap((name) => {
    const { domain, path, tag } = parseReference(name);
    return tag === undefined ? [] : [familiarName({ domain, path, tag })];
  });
}
