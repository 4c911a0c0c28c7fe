import type { HostileLayers } from "./types.ts";
import { attributeVectors } from "./vectors/attributes.ts";
import { collisionVectors } from "./vectors/collisions.ts";
import { deviceVectors } from "./vectors/devices.ts";
import { extendedHeaderVectors } from "./vectors/extended-headers.ts";
import { hardlinkVectors } from "./vectors/hardlinks.ts";
import { headerVectors } from "./vectors/headers.ts";
import { symlinkChainVectors } from "./vectors/symlink-chains.ts";
import { opaqueVectors } from "./vectors/opaque.ts";
import { xattrVectors } from "./vectors/xattrs.ts";
import { sizeVectors } from "./vectors/sizes.ts";
import { lowerHardlinkVectors } from "./vectors/lower-hardlinks.ts";
import { limitVectors } from "./vectors/limits.ts";
import { overlayVectors } from "./vectors/overlay.ts";
import { pathVectors } from "./vectors/paths.ts";
import { replacedVectors } from "./vectors/replaced.ts";
import { sparseVectors } from "./vectors/sparse.ts";
import { symlinkVectors } from "./vectors/symlinks.ts";
import { whiteoutVectors } from "./vectors/whiteouts.ts";

/**
 * All hostile and odd layers.
 *
 * @param outside absolute path of a canary, which many of them try to reach
 */
export function hostileLayers(outside: string): readonly HostileLayers[] {
  return [
    ...pathVectors(outside),
    ...symlinkVectors(outside),
    ...symlinkChainVectors(outside),
    ...hardlinkVectors(outside),
    ...lowerHardlinkVectors(),
    ...replacedVectors(),
    ...whiteoutVectors(),
    ...opaqueVectors(),
    ...attributeVectors(),
    ...xattrVectors(),
    ...deviceVectors(outside),
    ...headerVectors(),
    ...sizeVectors(),
    ...extendedHeaderVectors(),
    ...sparseVectors(),
    ...limitVectors(),
    ...collisionVectors(),
    ...overlayVectors(),
  ];
}
