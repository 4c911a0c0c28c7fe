import { CodedError } from "@varve/errors";
import type { Mount } from "@varve/mount";
import { begin, targetOf } from "./begin.ts";
import type { Request } from "./begin.ts";
import { markMade } from "./claim.ts";
import { inheritedLabels } from "./inherited-labels.ts";
import type { SnapshotPlace } from "./place.ts";

/**
 * Makes an active snapshot or a view.
 *
 * @throws ERR_ALREADY_EXISTS also when the snapshot that its label names exists, here or below (U-MD.13)
 */
export async function startSnapshot(place: SnapshotPlace, request: Omit<Request, "target">): Promise<readonly Mount[]> {
  const { kind, labels = {}, signal } = request;
  const { backend } = place;
  const options = { labels: inheritedLabels(labels), signal };
  const begun = await begin(place, { ...request, target: targetOf(labels) }, ({ backendKey, parentKey }) =>
    kind === "view" ? backend.view(backendKey, parentKey, options) : backend.prepare(backendKey, parentKey, options),
  );
  if ("made" in begun) {
    await markMade(place, begun.claim);
    return begun.made;
  }
  const { existing, cause } = begun;
  throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${existing.name}: already exists and is committed`, { cause });
}
