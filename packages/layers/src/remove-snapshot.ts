import { hasCode } from "@varve/errors";
import type { CallOptions } from "./layer-store.ts";
import type { StoreParts } from "./store-parts.ts";

/** Removes a snapshot unless it is gone already. */
export async function removeSnapshot(
  { snapshotter }: Pick<StoreParts, "snapshotter">,
  name: string,
  options: CallOptions,
): Promise<void> {
  try {
    await snapshotter.remove(name, options);
  } catch (error) {
    if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
  }
}
