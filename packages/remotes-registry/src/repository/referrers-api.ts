import { digestAlgorithm, digestHex } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { bareMediaType, mediaTypes } from "@varve/oci";
import type { RegistryRequest } from "../hosts/registry-host.ts";
import type { Registry } from "../hosts/registry.ts";
import type { Reply } from "../http/reply.ts";
import type { Settings } from "../options.ts";
import { stateOf } from "../push/repository-state.ts";

/** One repository, and how it is asked. */
export interface RepositoryPlace {
  readonly registry: Registry;
  readonly repository: string;
  readonly settings: Settings;
  readonly signal: AbortSignal | undefined;
}

/** The tag that lists referrers where a registry does not (distribution specification, "Referrers Tag Schema"). */
export function referrersTag(subject: Digest): string {
  return `${digestAlgorithm(subject).slice(0, 32)}-${digestHex(subject).slice(0, 64)}`;
}

export function referrersRequest(place: RepositoryPlace, subject: Digest, artifactType?: string): RegistryRequest {
  const query = artifactType === undefined ? "" : `?artifactType=${encodeURIComponent(artifactType)}`;
  return {
    method: "GET",
    repository: place.repository,
    target: `referrers/${subject}${query}`,
    purpose: "referrers",
    headers: { accept: mediaTypes.ociIndex },
    signal: place.signal,
  };
}

/** The answer to a request for referrers; `undefined`: servers were chosen none of which is to be asked for them. */
export async function askForReferrers(place: RepositoryPlace, request: RegistryRequest): Promise<Reply | undefined> {
  try {
    return await place.registry.send(request);
  } catch (error) {
    if (hasCode(error, "ERR_FAILED_PRECONDITION")) return undefined;
    throw error;
  }
}

/** Whether an answer is a list of referrers. Some servers answer every path with a page for people. */
export function isReferrersList(reply: Reply): boolean {
  return reply.status === 200 && bareMediaType(reply.header("content-type") ?? "") === mediaTypes.ociIndex;
}

/**
 * Whether the registry lists referrers itself. `OCI-Subject` is not to be trusted: ECR sent it without the list (R4). Asked once
 * for each repository.
 */
export async function listsReferrers(place: RepositoryPlace, subject: Digest): Promise<boolean> {
  const state = stateOf(place.registry);
  if (state.listsReferrers !== undefined) return state.listsReferrers;
  const reply = await askForReferrers(place, referrersRequest(place, subject));
  await reply?.discard();
  state.listsReferrers = reply !== undefined && isReferrersList(reply);
  return state.listsReferrers;
}
