import { commitSnapshot, isCommitted } from "./committed-snapshot.ts";
import { dropReference } from "./layer-rows.ts";
import type { Referred } from "./layer-rows.ts";
import type { CallOptions } from "./layer-store.ts";
import type { StoreParts } from "./store-parts.ts";

/** A layer whose snapshot somebody has taken away, as a repair of the store below may do, gets what was written now. */
export async function withSnapshot(
  parts: StoreParts,
  found: Referred,
  key: string,
  options: CallOptions,
): Promise<Referred> {
  const { chainId } = found.layer;
  try {
    await parts.holder?.hold(chainId, options);
    if (!(await isCommitted(parts, chainId, options))) await commitSnapshot(parts, chainId, key, options);
    return found;
  } catch (error) {
    await parts.database.freeSoon((session) => dropReference(session, found.reference)).catch(() => undefined);
    throw error;
  }
}
