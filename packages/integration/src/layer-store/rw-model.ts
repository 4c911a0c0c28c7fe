import type { Answer, Creation, ReferenceOperation, Write } from "./layer-operation.ts";
import { changesAnswer, nothing, removedAnswer, rwAnswer } from "./layer-operation.ts";
import type { LayerState, ModelRWLayer, ModelRWReference } from "./layer-state.ts";

const refused: Answer = "ERR_FAILED_PRECONDITION";

export interface HeldRW {
  readonly layer: ModelRWLayer;
  readonly reference: ModelRWReference;
}

export function heldRW(state: LayerState, id: number): HeldRW | undefined {
  const reference = state.rwReferences.get(id);
  const layer = reference === undefined ? undefined : state.rwLayers.get(reference.name);
  return reference === undefined || layer === undefined ? undefined : { layer, reference };
}

/** Takes the name, and keeps the parent (S1.40 to S1.42). */
export function beginCreation(state: LayerState, { name, parent, hasInit }: Creation): Answer | undefined {
  if (state.rwLayers.get(name)?.state === "ready") return "ERR_ALREADY_EXISTS";
  complete(state, name);
  if (parent !== undefined && !state.layers.has(parent)) return "ERR_NOT_FOUND";
  state.rwLayers.set(name, { name, parent, hasInit, state: "making", files: {} });
  return undefined;
}

export function endCreation(state: LayerState, { id, name, store }: Creation): Answer {
  const layer = state.rwLayers.get(name);
  if (layer === undefined) return "gone while it was made";
  state.rwLayers.set(name, { ...layer, state: "ready" });
  return referToRW(state, { id, name, store });
}

/** S1.46 */
export function referToRW(state: LayerState, { id, name, store }: Pick<Creation, "id" | "name" | "store">): Answer {
  const layer = state.rwLayers.get(name);
  if (layer?.state !== "ready") return "ERR_NOT_FOUND";
  state.rwReferences.set(id, { store, name, mounts: 0 });
  return rwAnswer(name, layer.parent);
}

/** The last reference takes the layer with it, once its files are gone (S1.47 to S1.49). */
export function beginRWRelease(state: LayerState, id: number, { layer, reference }: HeldRW): Answer | undefined {
  if (reference.mounts > 0) return refused;
  if ([...state.rwReferences].some(([other, { name }]) => other !== id && name === layer.name)) {
    state.rwReferences.delete(id);
    return removedAnswer([]);
  }
  state.rwLayers.set(layer.name, { ...layer, state: "going" });
  return undefined;
}

export function endRWRelease(state: LayerState, id: number): Answer {
  const { name = "" } = state.rwReferences.get(id) ?? {};
  const layer = state.rwLayers.get(name);
  state.rwReferences.delete(id);
  if (layer?.state !== "going") return removedAnswer([]);
  state.rwLayers.delete(name);
  return removedAnswer(state.collect(layer.parent));
}

/** A file that is written is empty first. */
export function writeFile(state: LayerState, { layer }: HeldRW, { file }: Write, bytes: number): void {
  state.rwLayers.set(layer.name, { ...layer, files: { ...layer.files, [file]: bytes } });
}

/** What is asked of a read-write layer in one step. */
export function askRW(
  state: LayerState,
  { kind, reference: id }: ReferenceOperation,
  { layer, reference }: HeldRW,
): Answer {
  if (kind === "changes") return changesAnswer(Object.keys(layer.files).toSorted(), bytesOfRW(layer));
  if (kind === "unmount" && reference.mounts === 0) return refused;
  state.rwReferences.set(id, { ...reference, mounts: reference.mounts + (kind === "mount" ? 1 : -1) });
  return nothing;
}

export function bytesOfRW({ files }: ModelRWLayer): number {
  return Object.values(files).reduce((sum, bytes) => sum + bytes, 0);
}

/** Does what a killed process has not got to: of a layer that was released, and of one that was never made. */
export function complete(state: LayerState, name: string): void {
  const layer = state.rwLayers.get(name);
  if (layer === undefined || layer.state === "ready") return;
  state.rwLayers.delete(name);
  if (layer.state === "going") state.collect(layer.parent);
}
