import { digestAlgorithm, isDigest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Reply } from "../http/reply.ts";
import type { HostRequest } from "./registry-request.ts";

/** A server that knows `ns` says for which registry it answers; that must be the one that was asked for (T4). */
export async function mustBeMeant(reply: Reply, { namespace, target }: HostRequest, name: string): Promise<void> {
  const told = reply.header("oci-namespace")?.trim().toLowerCase();
  if (namespace === undefined || typeof target !== "string" || told === undefined) return;
  if (told === namespace.toLowerCase()) return;
  await reply.discard();
  const text = `registry ${name}: asked for ${namespace}, it answered for ${JSON.stringify(told.slice(0, 128))}`;
  throw new CodedError("ERR_INVALID_DATA", text);
}

/** What a mirror says to be something else than the digest it was asked for need not be fetched to be refused (M4). */
export async function mustBeAsked(reply: Reply, { target }: HostRequest, name: string): Promise<void> {
  const asked = typeof target === "string" ? target.slice(target.indexOf("/") + 1) : undefined;
  const told = reply.header("docker-content-digest");
  if (reply.status >= 300 || !isDigest(asked) || !isDigest(told) || told === asked) return;
  if (digestAlgorithm(asked) !== digestAlgorithm(told)) return;
  await reply.discard();
  throw new CodedError("ERR_DIGEST_MISMATCH", `registry ${name}: asked for ${asked}, it answered with ${told}`);
}
