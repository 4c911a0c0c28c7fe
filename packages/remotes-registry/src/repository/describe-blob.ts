import { digestAlgorithm, isDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import type { RegistryRequest } from "../hosts/registry-request.ts";
import type { RepositoryPlace } from "./referrers-api.ts";

/** What a repository says of a blob when it is asked for no bytes. */
export async function describeBlob(place: RepositoryPlace, digest: Digest): Promise<Descriptor> {
  const { registry, repository, signal } = place;
  const headers = { accept: "*/*" };
  const request: RegistryRequest = {
    method: "HEAD",
    repository,
    target: `blobs/${digest}`,
    purpose: "pull",
    headers,
    signal,
  };
  const reply = await registry.send(request);
  if (reply.status !== 200) throw await registry.failure(reply, request);
  await reply.discard();
  const told = reply.header("docker-content-digest");
  // Another algorithm may name the same bytes.
  if (isDigest(told) && told !== digest && digestAlgorithm(told) === digestAlgorithm(digest)) {
    throw new CodedError("ERR_DIGEST_MISMATCH", `content ${digest}: the registry answered with ${told}`);
  }
  const size = reply.contentLength();
  if (size === undefined) throw new CodedError("ERR_INVALID_DATA", `content ${digest}: the registry tells no size`);
  return { mediaType: "application/octet-stream", digest, size };
}
