import { readBlob } from "@varve/content";
import type { CallOptions, Provider } from "@varve/content";
import { CodedError } from "@varve/errors";
import {
  configPlatform,
  isConfigType,
  isIndexType,
  normalizePlatform,
  parseImageConfig,
  parseIndex,
  parseManifest,
} from "@varve/oci";
import type { Descriptor, ImageConfig, Manifest, Platform, PlatformMatcher } from "@varve/oci";
import { bestManifests } from "./filters.ts";

/** One image of what a name stands for. */
export interface ImageManifest {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  /** Absent when the manifest is that of an artifact, whose config is of another kind. */
  readonly config: ImageConfig | undefined;
  /** As the config names it, normalised. */
  readonly platform: Platform | undefined;
}

// One index and one manifest are the rule; the limit is for those who mean harm.
const maxDocuments = 100;

/**
 * The manifest of `target` for the platform (U-IMG.7). In an index only the best entry is followed: if its blobs are not in the
 * store that is an error, whatever else there is. Entries without a platform come last and are judged by their config.
 * A manifest given directly is taken whatever its platform.
 *
 * @throws ERR_NOT_FOUND nothing matches, or a blob is not in the store
 * @throws ERR_INVALID_DATA a document is malformed; other errors as those of `readBlob`
 */
export async function manifestFor(
  provider: Provider,
  target: Descriptor,
  matcher: PlatformMatcher,
  options: CallOptions = {},
): Promise<ImageManifest> {
  if (!isIndexType(target.mediaType)) return readImage(provider, target, options);
  const waiting: Descriptor[] = [target];
  let documents = 0;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    documents += 1;
    if (documents > maxDocuments) throw tooMany(target);
    if (isIndexType(next.mediaType)) {
      const index = parseIndex(await readBlob(provider, next, options), next);
      const best = bestManifests(index.manifests, matcher);
      for (const entry of best.toReversed()) waiting.push(entry);
      continue;
    }
    const image = await readImage(provider, next, options);
    if (next.platform !== undefined || image.platform === undefined || matcher.matches(image.platform)) return image;
  }
  throw new CodedError(
    "ERR_NOT_FOUND",
    `index ${target.digest}: no match for platform ${matcher.description} in manifest`,
  );
}

async function readImage(provider: Provider, descriptor: Descriptor, options: CallOptions): Promise<ImageManifest> {
  const manifest = parseManifest(await readBlob(provider, descriptor, options), descriptor);
  const { config: configDescriptor } = manifest;
  if (!isConfigType(configDescriptor.mediaType)) {
    return { descriptor, manifest, config: undefined, platform: undefined };
  }
  const config = parseImageConfig(await readBlob(provider, configDescriptor, options), configDescriptor);
  return { descriptor, manifest, config, platform: normalizePlatform(configPlatform(config)) };
}

function tooMany(target: Descriptor): CodedError {
  return new CodedError(
    "ERR_RESOURCE_EXHAUSTED",
    `index ${target.digest}: no image found in the first ${maxDocuments} documents`,
  );
}
