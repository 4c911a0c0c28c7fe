import { blobExists } from "@varve/content";
import type { CallOptions, Manager, Provider } from "@varve/content";
import { hasCode } from "@varve/errors";
import type { Descriptor, PlatformMatcher } from "@varve/oci";
import { manifestFor } from "./manifest-for.ts";

/** Which blobs of an image are in the store. */
export interface ImageCheck {
  /** The manifest for the platform and its config are there, so that the lists are complete. */
  readonly available: boolean;
  /** The manifest, its config and its layers; only the target when the image is not available. */
  readonly required: readonly Descriptor[];
  readonly present: readonly Descriptor[];
  readonly missing: readonly Descriptor[];
}

/** Compares what the image of a platform needs with what the store has (U-IMG.8). Blobs are not read again. */
export async function checkImage(
  store: Provider & Manager,
  target: Descriptor,
  matcher: PlatformMatcher,
  options: CallOptions = {},
): Promise<ImageCheck> {
  const required = await requiredBlobs(store, target, matcher, options);
  if (required === undefined) return { available: false, required: [target], present: [], missing: [target] };
  const present: Descriptor[] = [];
  const missing: Descriptor[] = [];
  for (const blob of required) ((await blobExists(store, blob.digest, options)) ? present : missing).push(blob);
  return { available: true, required, present, missing };
}

async function requiredBlobs(
  provider: Provider,
  target: Descriptor,
  matcher: PlatformMatcher,
  options: CallOptions,
): Promise<readonly Descriptor[] | undefined> {
  try {
    const { descriptor, manifest } = await manifestFor(provider, target, matcher, options);
    return [descriptor, manifest.config, ...manifest.layers];
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return undefined;
    throw error;
  }
}
