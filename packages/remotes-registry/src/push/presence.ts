import type { Descriptor } from "@varve/oci";
import type { RegistryRequest } from "../hosts/registry-host.ts";
import type { Registry } from "../hosts/registry.ts";

/** What is asked for, and where. */
export interface Presence {
  readonly repository: string;
  readonly descriptor: Descriptor;
  readonly signal: AbortSignal | undefined;
}

/**
 * Whether a registry has exactly this under `target`. A tag that names something else does not count (P1, P12).
 *
 * @throws ERR_UNAUTHENTICATED, ERR_RATE_LIMITED; whatever else is wrong, the upload will tell, and its answer has a body to say it in
 */
export async function isPresent(registry: Registry, target: string, presence: Presence): Promise<boolean> {
  const { repository, descriptor, signal } = presence;
  const request: RegistryRequest = {
    method: "HEAD",
    repository,
    target,
    purpose: "push",
    actions: "pull,push",
    headers: { accept: `${descriptor.mediaType}, */*` },
    signal,
  };
  const reply = await registry.send(request);
  if (reply.status === 401 || reply.status === 429) throw await registry.failure(reply, request);
  await reply.discard();
  if (reply.status !== 200) return false;
  const told = reply.header("docker-content-digest");
  return told === undefined ? target.endsWith(descriptor.digest) : told === descriptor.digest;
}
