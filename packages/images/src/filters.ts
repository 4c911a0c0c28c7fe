import { isIndexType, rankManifests, selectManifest } from "@varve/oci";
import type { Descriptor, Index, PlatformMatcher } from "@varve/oci";
import type { Handler } from "./handler.ts";

/** Drops children whose platform does not match; those that name none stay, and are judged later (U-IMG.6). */
export function filterPlatforms(handler: Handler, matcher: PlatformMatcher): Handler {
  return async (descriptor, context) => {
    const children = await handler(descriptor, context);
    return children.filter((child) => child.platform === undefined || matcher.matches(child.platform));
  };
}

export interface LimitManifestsOptions {
  readonly matcher: PlatformMatcher;
  /** How many entries of one index are followed, the best first. */
  readonly limit: number;
}

/**
 * Follows only the best entries of each index: those whose platform matches in the matcher's order, then those that name
 * none (U-IMG.6, U-IMG.7). Attestations are not among them.
 *
 * @throws ERR_NOT_FOUND nothing in an index matches
 */
export function limitManifests(handler: Handler, options: LimitManifestsOptions): Handler {
  return async (descriptor, context) => {
    const children = await handler(descriptor, context);
    if (!isIndexType(descriptor.mediaType)) return children;
    return bestManifests(children, options.matcher).slice(0, options.limit);
  };
}

/** The entries of an index that will do, the best first; at least one. */
export function bestManifests(children: readonly Descriptor[], matcher: PlatformMatcher): readonly Descriptor[] {
  const index: Index = { schemaVersion: 2, manifests: children };
  const best = rankManifests(index, matcher);
  // Says what there is instead.
  return best.length > 0 ? best : [selectManifest(index, matcher)];
}
