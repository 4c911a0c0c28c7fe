import { CodedError, hasCode } from "@varve/errors";
import type { CreateOptions, LayerPreparer, LayerRequest, PreparedLayer } from "@varve/snapshots";
import { adopt } from "./adopt.ts";
import { begin } from "./begin.ts";
import { markMade } from "./claim.ts";
import { inheritedLabels } from "./inherited-labels.ts";
import type { SnapshotPlace } from "./place.ts";
import type { SnapshotRow } from "./rows.ts";

/** Which layer is wanted. */
export interface NewLayer extends LayerRequest, CreateOptions {}

/**
 * Asks the snapshotter below for a layer, unless the namespace has it. What is committed below gets its record here, with
 * the name that was asked for; either way the lease holds it from then on (U-MD.13).
 */
export async function prepareLayer(
  place: SnapshotPlace,
  preparer: LayerPreparer,
  request: NewLayer,
): Promise<PreparedLayer> {
  const { target, labels = {}, signal } = request;
  if (target === "") throw new CodedError("ERR_INVALID_ARGUMENT", `snapshot ${request.key}: its target is empty`);
  const options = { labels: inheritedLabels(labels), signal };
  for (let wasGone = false; ;) {
    const begun = await begin(place, { ...request, kind: "active" }, ({ backendKey: key, parentKey: parent }) =>
      preparer.prepareLayer({ key, parent, target }, options),
    );
    if ("existing" in begun) return answer(place, begun.existing, request);
    const { claim, made } = begun;
    if (made.state !== "committed") {
      await markMade(place, claim);
      return made;
    }
    try {
      const adopted = await adopt(place, { claim, target, name: made.name, signal });
      if (adopted !== undefined) return answer(place, adopted, request);
    } catch (error) {
      // Until it had a record here it may have been nobody's, and a collection can have been faster.
      if (wasGone || !hasCode(error, "ERR_NOT_FOUND")) throw error;
      wasGone = true;
    }
  }
}

async function answer(place: SnapshotPlace, row: SnapshotRow, request: NewLayer): Promise<PreparedLayer> {
  const { labels = {}, signal } = request;
  if (row.parentName === request.parent) return { state: "committed", name: row.name };
  // Something else has the name of the layer. What the caller fills now has to be committed under another.
  const unnamed = { ...request, kind: "active", target: undefined } as const;
  const begun = await begin(place, unnamed, ({ backendKey, parentKey }) =>
    place.backend.prepare(backendKey, parentKey, { labels: inheritedLabels(labels), signal }),
  );
  if ("made" in begun) {
    await markMade(place, begun.claim);
    return { state: "empty", mounts: begun.made };
  }
  throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${begun.existing.name}: already exists`);
}
