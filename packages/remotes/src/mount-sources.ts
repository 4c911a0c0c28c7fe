import { canLabel, labelDistributionSourcePrefix } from "@varve/content";
import type { CallOptions, Manager } from "@varve/content";
import { hasCode } from "@varve/errors";
import type { Descriptor } from "@varve/oci";

/** Where something is to be pushed to. */
export interface MountTarget extends CallOptions {
  /** As in references, and as `labelDistributionSource` was told it. */
  readonly host: string;
  readonly repository: string;
}

/**
 * The repositories of `host` that a stored blob came from, so that a push to `repository` there can ask for a mount instead of
 * sending bytes (U-REM.5). Those whose path begins most like `repository` come first; `repository` itself is not among them.
 * None for a store without labels.
 */
export async function mountSources(
  manager: Manager,
  descriptor: Descriptor,
  { host, repository, signal }: MountTarget,
): Promise<readonly string[]> {
  if (!canLabel(manager)) return [];
  const noted = await sourcesNoted(manager, descriptor, host, signal);
  const others = noted.split(",").filter((name) => name !== "" && name !== repository);
  return [...new Set(others)].toSorted((a, b) => commonParts(b, repository) - commonParts(a, repository));
}

async function sourcesNoted(
  manager: Manager,
  { digest }: Descriptor,
  host: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  try {
    return (await manager.info(digest, { signal })).labels[`${labelDistributionSourcePrefix}${host}`] ?? "";
  } catch (error) {
    // Data that a descriptor carries itself need not be stored.
    if (hasCode(error, "ERR_NOT_FOUND")) return "";
    throw error;
  }
}

/** How many parts of two paths agree from the start: a team's repositories are likelier to be readable for it. */
function commonParts(a: string, b: string): number {
  const [left, right] = [a.split("/"), b.split("/")];
  const different = left.findIndex((part, index) => part !== right[index]);
  return different === -1 ? left.length : different;
}
