import { blobExists, readBlob } from "@varve/content";
import type { Digest } from "@varve/digest";
import { isManifestType, parseManifest } from "@varve/oci";
import type { ArchivedImage, ImportOptions } from "../image-archive.ts";
import { quote } from "../subject.ts";
import type { ArchiveFiles } from "./archive-files.ts";
import { readDockerManifest } from "./docker-manifest.ts";

interface Archive {
  readonly files: ArchiveFiles;
  readonly options: ImportOptions;
}

/**
 * Gives images of an `index.json` that have no name there the names that a `manifest.json` beside it has for them: the config
 * is what both name.
 */
export async function withDockerNames(
  images: readonly ArchivedImage[],
  manifest: Uint8Array,
  archive: Archive,
): Promise<readonly ArchivedImage[]> {
  if (images.every(hasName)) return images;
  // Two images can have one config: a name that index.json gives to one of them is not the other's.
  const taken = new Set(images.flatMap(({ names }) => names));
  const byConfig = new Map<Digest, string[]>();
  for (const { config, names } of readDockerManifest(manifest, `archive: entry ${quote("manifest.json")}`)) {
    const { digest } = archive.files.find(config);
    const known = byConfig.get(digest) ?? [];
    known.push(...names.filter((name) => !taken.has(name)));
    byConfig.set(digest, known);
  }
  const named: ArchivedImage[] = [];
  for (const image of images) {
    const config = hasName(image) ? undefined : await configOf(image, archive.options);
    const names = config === undefined ? undefined : byConfig.get(config);
    named.push(names === undefined ? image : { ...image, names });
    // A name stands for one image.
    if (config !== undefined) byConfig.delete(config);
  }
  return named;
}

function hasName({ names, tags }: ArchivedImage): boolean {
  return names.length > 0 || tags.length > 0;
}

/** Of images that are no index, and there: what is missing is told later, by its own name. */
async function configOf({ target }: ArchivedImage, { content, signal }: ImportOptions): Promise<Digest | undefined> {
  if (!isManifestType(target.mediaType) || !(await blobExists(content, target.digest, { signal }))) return undefined;
  return parseManifest(await readBlob(content, target, { signal }), target).config.digest;
}
