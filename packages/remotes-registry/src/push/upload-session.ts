import type { CallOptions } from "@varve/content";
import { digestAlgorithm } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import type { RegistryRequest } from "../hosts/registry-host.ts";
import type { Registry } from "../hosts/registry.ts";
import { describeUrl } from "../http/printable.ts";
import type { Reply } from "../http/reply.ts";
import { namedAddress } from "../repository/named-address.ts";

/** Where an upload goes on, as the last answer said. */
export interface UploadSession {
  readonly url: URL;
  /** The answer that named it. */
  readonly reply: Reply;
}

/**
 * Reads the address at which an upload goes on. It is the registry's own: its query stays, byte for byte (P3).
 *
 * @param previous stays valid if the answer names no other
 * @throws ERR_INVALID_DATA there is no address, or one that is no http or https
 * @throws ERR_PERMISSION_DENIED it is inside a network, and the registry is not
 */
export function sessionOf(reply: Reply, previous?: UploadSession): UploadSession {
  const location = reply.header("location");
  if (!location && previous !== undefined) return { url: previous.url, reply: previous.reply };
  const url = location ? namedAddress(location, reply) : undefined;
  if (url === undefined) {
    throw new CodedError("ERR_INVALID_DATA", `${reply.method} ${describeUrl(reply.url)}: the answer names no upload`);
  }
  return { url: reachedBefore(url, reply.url), reply };
}

/**
 * A registry behind a proxy that ends TLS may not know that it is asked by https, nor on which port, and name an address of its
 * host by http, without one. The address that was asked is meant: nothing leaves by http.
 */
function reachedBefore(url: URL, asked: URL): URL {
  const isMeant =
    asked.protocol === "https:" && url.protocol === "http:" && url.port === "" && url.hostname === asked.hostname;
  return isMeant ? new URL(`${url.pathname}${url.search}`, asked.origin) : url;
}

/** The address that ends an upload. */
export function withDigest({ url }: UploadSession, digest: string): URL {
  const final = new URL(url);
  final.search = `${final.search}${final.search === "" ? "?" : "&"}digest=${encodeURIComponent(digest)}`;
  return final;
}

/** How many bytes an upload has, as its `Range` says: `0-<last>`; `undefined` if it does not say. */
export function bytesHeld(reply: Reply): number | undefined {
  // Quay puts the unit in front.
  const last = /^(?:bytes=)?0-(\d{1,15})$/.exec(reply.header("range")?.trim() ?? "")?.[1];
  // One byte and none look the same; nothing is lost by counting on none.
  return last === undefined ? undefined : last === "0" ? 0 : Number(last) + 1;
}

/** The smallest part that the registry takes, in bytes (distribution specification, "Pushing a blob in chunks"). */
export function minimumPart(reply: Reply): number {
  const told = reply.header("oci-chunk-min-length")?.trim() ?? "";
  return /^\d{1,15}$/.test(told) ? Number(told) : 0;
}

export interface StartOptions extends CallOptions {
  /** Asks for a mount from this repository instead (P2). */
  readonly mountFrom?: string | undefined;
}

/** The request that begins an upload. Registries that know only sha256 otherwise want to be told of another algorithm (P13). */
export function startOf(repository: string, { digest }: Descriptor, options: StartOptions = {}): RegistryRequest {
  const algorithm = digestAlgorithm(digest);
  const query = new URLSearchParams();
  if (options.mountFrom !== undefined) query.set("mount", digest);
  if (options.mountFrom !== undefined) query.set("from", options.mountFrom);
  if (algorithm !== "sha256") query.set("digest-algorithm", algorithm);
  return {
    method: "POST",
    repository,
    target: `blobs/uploads/${query.size === 0 ? "" : `?${query.toString()}`}`,
    purpose: "push",
    actions: "pull,push",
    headers: { "content-length": "0" },
    alsoPull: options.mountFrom,
    // An upload that was begun twice holds no bytes, and the registry forgets it.
    repeatable: true,
    signal: options.signal,
  };
}

const cancelTime = 500;

/** The registry need not keep the bytes any longer. Its answer is of no interest (P8). */
export async function cancelUpload(registry: Registry, repository: string, session: UploadSession): Promise<void> {
  const request: RegistryRequest = {
    method: "DELETE",
    repository,
    target: session.url,
    continues: session.reply,
    purpose: "push",
    actions: "pull,push",
    repeatable: false,
    signal: AbortSignal.timeout(cancelTime),
  };
  try {
    await (await registry.send(request)).discard();
  } catch (error) {
    void error;
  }
}
