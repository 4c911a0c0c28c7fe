import { digestAlgorithm, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import type { RegistryRequest } from "../hosts/registry-host.ts";
import { readAtMost } from "../http/body.ts";
import type { Reply } from "../http/reply.ts";
import { ReferrersIndex } from "../push/referrers-index.ts";
import { manifestAccept } from "../resolve/manifest-types.ts";
import { asReferrer } from "./referrer.ts";
import { listsReferrers } from "./referrers-api.ts";
import type { RepositoryPlace } from "./referrers-api.ts";

const done: ReadonlySet<number> = new Set([200, 202, 204]);

/**
 * Deletes what `target` names (R7).
 *
 * @throws ERR_NOT_FOUND
 * @throws ERR_NOT_IMPLEMENTED the registry does not delete, or not this
 */
export async function deleteFrom(place: RepositoryPlace, target: string): Promise<void> {
  // Quay gives tokens to delete only to those who may do everything.
  const failure = await attempt(place, target, "delete");
  if (failure === undefined) return;
  if (!hasCode(failure, "ERR_UNAUTHENTICATED") && !hasCode(failure, "ERR_PERMISSION_DENIED")) throw failure;
  if ((await attempt(place, target, "*")) !== undefined) throw failure;
}

/** Why it failed. */
async function attempt(place: RepositoryPlace, target: string, actions: "delete" | "*"): Promise<unknown> {
  const { registry, repository, signal } = place;
  const request: RegistryRequest = { method: "DELETE", repository, target, purpose: "push", actions, signal };
  let reply: Reply;
  try {
    reply = await registry.send(request);
  } catch (error) {
    signal?.throwIfAborted();
    return error;
  }
  if (done.has(reply.status)) {
    await reply.discard();
    return undefined;
  }
  const error = await registry.failure(reply, request);
  // Those who delete by digest only say that a tag is none, and others that the request is wrong.
  if (reply.status !== 400) return error;
  return new CodedError("ERR_NOT_IMPLEMENTED", `${error.message} (it deletes nothing, or not by tag)`, {
    cause: error,
  });
}

/** What a manifest belongs to, and who said so. */
export interface Belonging {
  readonly subject: Digest;
  readonly host: string;
}

/** What a manifest that is to be deleted belongs to, if it can be read. */
export async function belongingOf(place: RepositoryPlace, digest: Digest): Promise<Belonging | undefined> {
  const { registry, repository, settings, signal } = place;
  const target = `manifests/${digest}`;
  const headers = { accept: manifestAccept };
  const reply = await registry.send({ method: "GET", repository, target, purpose: "push", headers, signal });
  if (reply.status !== 200) {
    await reply.discard();
    return undefined;
  }
  const bytes = await readAtMost(reply, settings.maxManifestSize);
  if (digestOf(bytes, digestAlgorithm(digest)) !== digest) return undefined;
  const mediaType = reply.header("content-type") ?? "";
  const subject = asReferrer({ mediaType, digest, size: bytes.byteLength }, bytes)?.subject;
  return subject && { subject, host: reply.url.host };
}

/**
 * Takes a deleted manifest out of the list of what it belonged to, where the registry keeps none (distribution specification,
 * "Deleting Manifests"). The manifest is gone by then: that the list could not be changed is told, and no error.
 */
export async function forgetReferrer(
  place: RepositoryPlace,
  { subject, host }: Belonging,
  digest: Digest,
): Promise<void> {
  const { repository, settings, signal } = place;
  try {
    if (!(await listsReferrers(place, subject))) await new ReferrersIndex(place, subject).remove(digest);
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof CodedError)) throw error;
    const text = `repository ${repository}: ${digest} is still listed among what refers to ${subject}: ${error.message}`;
    settings.onNotice({ type: "warning", host, text });
  }
}
