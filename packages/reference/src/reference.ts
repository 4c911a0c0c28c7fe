import { isIPv6 } from "node:net";
import { parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";

/** The full name of an image at a registry: plain data, all parts checked. */
export interface Reference {
  /** Registry host as people write it, with the port if there is one: `docker.io`, `[::1]:5000`. */
  readonly domain: string;
  /** Repository at that registry: `library/nginx`. */
  readonly path: string;
  /** With a digest only a name to remember: the digest says what is meant (N3). */
  readonly tag?: string | undefined;
  readonly digest?: Digest | undefined;
  /** The same as `formatReference`; not kept by copies made with `{ ...reference }`. */
  toString(): string;
}

/** What `formatReference` and the others need: a `Reference`, or the same parts put together by hand. */
export type ReferenceParts = Pick<Reference, "domain" | "path" | "tag" | "digest">;

const hub = "docker.io";
// One registry under three names (N2).
const hubNames: ReadonlySet<string> = new Set([hub, "index.docker.io", "registry-1.docker.io"]);
const officialPrefix = "library/";
const maxNameLength = 255;
const maxTagLength = 128;
// Name, tag and the longest digest text, generously.
const maxLength = 640;

// The grammar of the distribution specification, and Docker's for hosts.
const pathForm = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const tagForm = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;
const label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const domainForm = new RegExp(`^(?:${label}(?:\\.${label})*|\\[([0-9a-fA-F:]+)\\])(?::([0-9]{1,5}))?$`);

/**
 * Reads an image name as Docker does: `nginx` is `docker.io/library/nginx:latest`. The part before the first slash is a
 * host if it is `localhost`, or holds a dot, a colon or an upper-case letter. Without tag and digest the tag is `latest`.
 *
 * @throws ERR_INVALID_ARGUMENT not a name; the message says which part is wrong
 * @throws ERR_NOT_IMPLEMENTED the digest's algorithm is unknown
 */
export function parseReference(text: string): Reference {
  if (text === "") throw invalid(text, "empty");
  if (text.length > maxLength) throw invalid(text, `${text.length} characters, too long for a name`);
  refuseWhatIsNoName(text);
  const at = text.indexOf("@");
  const name = at < 0 ? text : text.slice(0, at);
  const digest = at < 0 ? undefined : digestOf(text, text.slice(at + 1));
  const { domain, rest } = splitDomain(name);
  const colon = rest.indexOf(":");
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  const path = officialPath(domain, colon < 0 ? rest : rest.slice(0, colon));
  checkDomain(text, domain);
  checkPath(text, path);
  if (tag !== undefined) checkTag(text, tag);
  if (domain.length + 1 + path.length > maxNameLength) {
    throw invalid(text, `host and repository together are longer than ${maxNameLength} characters`);
  }
  return new ParsedReference({ domain, path, tag: tag ?? (digest === undefined ? "latest" : undefined), digest });
}

/** Prints the full name, as it is kept in stores: `docker.io/library/nginx:latest`. Reading it gives the same again. */
export function formatReference(reference: ReferenceParts): string {
  return `${reference.domain}/${reference.path}${suffixOf(reference)}`;
}

/** The shortest text that means the same: `nginx:latest`, `quay.io/x/y:1`. The tag is always there, unless there is a digest. */
export function familiarName(reference: ReferenceParts): string {
  const full = formatReference(reference);
  if (!isDockerHub(reference)) return full;
  const { path } = reference;
  const shorter = path.startsWith(officialPrefix) ? [path.slice(officialPrefix.length), path] : [path];
  const candidates = shorter.map((name) => `${name}${suffixOf(reference)}`);
  // Not every repository can stand alone: in `a.b/c` the first part would be a host.
  return candidates.find((text) => meansTheSame(text, full)) ?? full;
}

/** Whether the image is at Docker Hub, under whichever of its names. */
export function isDockerHub(reference: Pick<Reference, "domain">): boolean {
  return hubNames.has(reference.domain.toLowerCase());
}

/** The host, with port, that answers the distribution API: the domain, but for Docker Hub another. */
export function registryHost(reference: Pick<Reference, "domain">): string {
  return isDockerHub(reference) ? "registry-1.docker.io" : reference.domain;
}

class ParsedReference implements Reference {
  readonly domain: string;
  readonly path: string;
  declare readonly tag?: string | undefined;
  declare readonly digest?: Digest | undefined;

  constructor({ domain, path, tag, digest }: ReferenceParts) {
    this.domain = domain;
    this.path = path;
    if (tag !== undefined) this.tag = tag;
    if (digest !== undefined) this.digest = digest;
  }

  toString(): string {
    return formatReference(this);
  }
}

function suffixOf({ tag, digest }: ReferenceParts): string {
  return (tag === undefined ? "" : `:${tag}`) + (digest === undefined ? "" : `@${digest}`);
}

function meansTheSame(short: string, full: string): boolean {
  try {
    return formatReference(parseReference(short)) === full;
  } catch {
    return false;
  }
}

/** Texts that people paste where a name belongs, and that would otherwise be read as a strange name or give a dark error. */
function refuseWhatIsNoName(text: string): void {
  const scheme = /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\//.exec(text)?.[0];
  if (scheme !== undefined) throw invalid(text, `a name has no scheme, leave out ${JSON.stringify(scheme)}`);
  if (/\s/.test(text)) throw invalid(text, "a name has no spaces");
  if (/^[0-9a-f]{64}$/.test(text)) throw invalid(text, "64 hex digits are an id, not a name");
  if (/^sha[0-9]+:[0-9a-f]{64,}$/.test(text)) throw invalid(text, "a digest alone is not a name, write NAME@DIGEST");
}

function splitDomain(name: string): { readonly domain: string; readonly rest: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isDomain = first === "localhost" || /[.:A-Z]/.test(first);
  if (slash === 0 || !isDomain) return { domain: hub, rest: name };
  const domain = isDockerHub({ domain: first }) ? hub : first;
  return { domain, rest: name.slice(slash + 1) };
}

function officialPath(domain: string, path: string): string {
  return domain === hub && !path.includes("/") ? officialPrefix + path : path;
}

function checkDomain(text: string, domain: string): void {
  const match = domainForm.exec(domain);
  const [, address, port] = match ?? [];
  if (match === null || (address !== undefined && !isIPv6(address))) {
    throw invalid(text, `${quote(domain)} is not a host, or a host and a port`);
  }
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) throw invalid(text, `no port ${port}`);
}

function checkPath(text: string, path: string): void {
  if (pathForm.test(path)) return;
  const why = pathForm.test(path.toLowerCase())
    ? "must be lower case"
    : "must be lower-case letters and digits, with single . _ __ or - between them, and / between parts";
  throw invalid(text, `repository ${quote(path)} ${why}`);
}

function checkTag(text: string, tag: string): void {
  if (tag.length > maxTagLength) throw invalid(text, `the tag is longer than ${maxTagLength} characters`);
  if (tagForm.test(tag)) return;
  throw invalid(text, `tag ${quote(tag)} must be letters, digits, _ . -, and not begin with . or -`);
}

function digestOf(text: string, digest: string): Digest {
  try {
    return parseDigest(digest);
  } catch (cause) {
    if (!(cause instanceof CodedError)) throw cause;
    throw new CodedError(cause.code, `reference ${quote(text)}: ${cause.message}`, { cause });
  }
}

function invalid(text: string, why: string): CodedError {
  return new CodedError("ERR_INVALID_ARGUMENT", `reference ${quote(text)}: ${why}`);
}

function quote(text: string): string {
  return JSON.stringify(text.length > 128 ? `${text.slice(0, 128)}…` : text);
}
