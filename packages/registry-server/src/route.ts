import { isDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { ProtocolError } from "./protocol-error.ts";

/** What a path of the distribution API names. Everything in it is checked; none of it is ever a path of a file. */
export type Route =
  | { readonly type: "root" }
  | { readonly type: "catalog" }
  | { readonly type: "tags"; readonly repository: string }
  | { readonly type: "manifest"; readonly repository: string; readonly reference: ManifestReference }
  | { readonly type: "blob"; readonly repository: string; readonly digest: Digest }
  | { readonly type: "uploads"; readonly repository: string }
  | { readonly type: "upload"; readonly repository: string; readonly id: string }
  | { readonly type: "referrers"; readonly repository: string; readonly digest: Digest };

/** What is in a repository. */
export type RepositoryRoute = Extract<Route, { readonly repository: string }>;

export type ManifestReference = { readonly tag: string } | { readonly digest: Digest };

const maxName = 255;
const component = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const namePattern = new RegExp(`^${component}(?:/${component})*$`);
// Of a store that mirrors other registries: their host, with a port, in front of the name.
const hostPattern =
  /^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::\d{1,5})?$/;
const tagPattern = /^\w[\w.-]{0,127}$/;
const uploadId = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Reads the target of a request. One that is written in another way than its normal form, with dots to climb by or
 * backslashes, is none of the API: servers in front of this one may read it differently.
 *
 * @throws ProtocolError the path is none of the API, or a name in it is malformed
 */
export function parseRoute(target: string, url: URL): Route {
  const path = target.split("?", 1)[0];
  if (path !== url.pathname) throw new ProtocolError("PATH_UNKNOWN", "no such path");
  if (url.pathname === "/v2/" || url.pathname === "/v2") return { type: "root" };
  if (url.pathname === "/v2/_catalog") return { type: "catalog" };
  const route = url.pathname.startsWith("/v2/") ? parseBelow(url.pathname.slice("/v2/".length)) : undefined;
  if (route === undefined) throw new ProtocolError("PATH_UNKNOWN", "no such path");
  return route;
}

function parseBelow(path: string): Route | undefined {
  const segments = path.split("/");
  const last = segments.at(-1) ?? "";
  const before = segments.at(-2);
  const name = (count: number): string => repositoryName(segments.slice(0, -count).join("/"));
  if (last === "list" && before === "tags") return { type: "tags", repository: name(2) };
  if (before === "uploads" && segments.at(-3) === "blobs") {
    if (last === "") return { type: "uploads", repository: name(3) };
    if (!uploadId.test(last)) throw new ProtocolError("BLOB_UPLOAD_UNKNOWN", "no such upload");
    return { type: "upload", repository: name(3), id: last };
  }
  if (last === "uploads" && before === "blobs") return { type: "uploads", repository: name(2) };
  if (before === "manifests") return { type: "manifest", repository: name(2), reference: manifestReference(last) };
  if (before === "blobs") return { type: "blob", repository: name(2), digest: digestIn(last) };
  if (before === "referrers") return { type: "referrers", repository: name(2), digest: digestIn(last) };
  return undefined;
}

/** @throws ProtocolError NAME_INVALID */
function repositoryName(name: string): string {
  if (isRepositoryName(name)) return name;
  throw new ProtocolError("NAME_INVALID", "not a repository name");
}

export function isRepositoryName(name: string): boolean {
  const [first = "", ...others] = name.split("/");
  // Mirrored repositories may be asked for with their registry in front, which may have a port.
  const rest = others.length > 0 && hostPattern.test(first) && /[.:]/.test(first) ? others.join("/") : name;
  return name.length <= maxName && namePattern.test(rest);
}

/** The registry that a client takes this server for (`ns`, as containerd asks mirrors), if that can be one. */
export function namespaceOf(url: URL): string | undefined {
  const ns = url.searchParams.get("ns");
  return ns !== null && ns.length <= maxName && hostPattern.test(ns) ? ns : undefined;
}

/** Where to look for a repository: with the registry in front that the server is taken for, then as it is. */
export function namesOf(repository: string, url: URL): readonly string[] {
  const ns = namespaceOf(url);
  return ns === undefined ? [repository] : [`${ns}/${repository}`, repository];
}

function manifestReference(text: string): ManifestReference {
  const decoded = decode(text);
  if (decoded.includes(":")) return { digest: digestIn(decoded) };
  return { tag: tagIn(decoded) };
}

/** @throws ProtocolError MANIFEST_INVALID */
export function tagIn(text: string): string {
  if (!tagPattern.test(text)) throw new ProtocolError("MANIFEST_INVALID", "not a tag");
  return text;
}

/** @throws ProtocolError DIGEST_INVALID */
export function digestIn(text: string): Digest {
  const decoded = decode(text);
  if (!isDigest(decoded)) throw new ProtocolError("DIGEST_INVALID", "not a digest that is supported");
  return decoded;
}

/** Clients may escape the colon of a digest. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ProtocolError("PATH_UNKNOWN", "malformed escape in the path");
  }
}
