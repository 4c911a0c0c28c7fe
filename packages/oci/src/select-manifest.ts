import { CodedError } from "@varve/errors";
import { isAttestationManifest } from "./descriptor.ts";
import type { Descriptor } from "./descriptor.ts";
import type { Index } from "./document.ts";
import { isIndexType, isManifestType } from "./media-types.ts";
import type { PlatformMatcher } from "./platform-matcher.ts";
import { formatPlatform } from "./platform.ts";

/**
 * The entries of an index that may be the image for `matcher`, the best first: those whose platform matches, then those
 * that name none; in the order of the index where there is no difference. Attestations and what is neither manifest
 * nor index are left out. May be empty.
 */
export function rankManifests(index: Index, matcher: PlatformMatcher): Descriptor[] {
  return index.manifests
    .filter((entry) => isImage(entry) && (entry.platform === undefined || matcher.matches(entry.platform)))
    .toSorted((a, b) => {
      if (a.platform === undefined || b.platform === undefined) {
        return Number(a.platform === undefined) - Number(b.platform === undefined);
      }
      return matcher.compare(a.platform, b.platform);
    });
}

/**
 * The best entry of an index for `matcher` (U-IMG.7, M9). One without a platform must be judged by its config.
 *
 * @throws ERR_NOT_FOUND nothing matches; the message lists what there is
 */
export function selectManifest(index: Index, matcher: PlatformMatcher): Descriptor {
  const best = rankManifests(index, matcher)[0];
  if (best !== undefined) return best;
  const there = index.manifests.filter(isImage).flatMap(({ platform }) => (platform ? [formatPlatform(platform)] : []));
  const list = [...new Set(there)];
  const shown = list.slice(0, 20).join(", ") + (list.length > 20 ? `, and ${list.length - 20} more` : "");
  throw new CodedError(
    "ERR_NOT_FOUND",
    `platform ${matcher.description}: not in the index, which has ${shown === "" ? "no images" : shown}`,
  );
}

function isImage(entry: Descriptor): boolean {
  return (isManifestType(entry.mediaType) || isIndexType(entry.mediaType)) && !isAttestationManifest(entry);
}
