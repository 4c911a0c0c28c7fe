import { CodedError, hasCode } from "@varve/errors";
import type { CallOptions } from "./layer-store.ts";
import type { StoreParts } from "./store-parts.ts";

/** Whether there is a committed snapshot of this name. */
export async function isCommitted(
  { snapshotter }: Pick<StoreParts, "snapshotter">,
  name: string,
  options: CallOptions,
): Promise<boolean> {
  try {
    return (await snapshotter.stat(name, options)).kind === "committed";
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return false;
    throw error;
  }
}

/**
 * Commits the snapshot of a layer. A committed one of this name has the same layers in it, whoever has made it.
 *
 * @throws ERR_ALREADY_EXISTS somebody has an active snapshot or a view of this name
 */
export async function commitSnapshot(
  parts: Pick<StoreParts, "holder" | "snapshotter">,
  chainId: string,
  key: string,
  options: CallOptions,
): Promise<void> {
  await parts.holder?.hold(chainId, options);
  try {
    await parts.snapshotter.commit(chainId, key, options);
  } catch (error) {
    if (!hasCode(error, "ERR_ALREADY_EXISTS")) throw error;
    if (await isCommitted(parts, chainId, options)) return;
    const why = "a snapshot that is not committed has its name";
    throw new CodedError("ERR_ALREADY_EXISTS", `layer ${chainId}: ${why}`, { cause: error });
  }
}
