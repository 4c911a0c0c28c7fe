import { CodedError } from "@varve/errors";

/** The hash functions that are accepted: the ones containerd and the registries use (S-ID.5). */
export type DigestAlgorithm = "sha256" | "sha384" | "sha512";

/**
 * The name of some bytes: `<algorithm>:<lower case hex>`, checked.
 *
 * A plain string at run time, so it prints, compares and serialises as one. Only `parseDigest` and the functions that
 * compute digests make one; do not cast.
 */
export type Digest = string & { readonly "@varve/digest": true };

const hexLengths: ReadonlyMap<string, number> = new Map<DigestAlgorithm, number>([
  ["sha256", 64],
  ["sha384", 96],
  ["sha512", 128],
]);

// The grammar of the OCI image specification, section "Digests": wider than what we can compute.
const grammar = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;
const lowerHex = /^[0-9a-f]+$/;
// No algorithm known to anybody comes near; the limit keeps error messages and paths short.
const maxLength = 255;

type Verdict =
  | "ok"
  | "not of the form algorithm:hex"
  | "unknown algorithm"
  | "wrong number of hex digits"
  | "not lower-case hex";

/**
 * Checks `text` and gives it back as a digest.
 *
 * @throws ERR_INVALID_ARGUMENT the form is wrong: no colon, upper-case hex, the wrong number of digits
 * @throws ERR_NOT_IMPLEMENTED the form is right, but the algorithm is none of sha256, sha384, sha512
 */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw failure(text, judge(text));
}

/** Whether `value` is a well-formed digest of a supported algorithm. */
export function isDigest(value: unknown): value is Digest {
  return judge(value) === "ok";
}

/** The part before the colon. */
export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  const name = digest.slice(0, digest.indexOf(":"));
  if (name === "sha256" || name === "sha384" || name === "sha512") return name;
  // Only a text that was cast gets here.
  throw failure(digest, judge(digest));
}

/** The part after the colon: safe as a file name. */
export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(":") + 1);
}

function judge(value: unknown): Verdict {
  if (typeof value !== "string" || value.length > maxLength || !grammar.test(value))
    return "not of the form algorithm:hex";
  const colon = value.indexOf(":");
  const wanted = hexLengths.get(value.slice(0, colon));
  if (wanted === undefined) return "unknown algorithm";
  const hex = value.slice(colon + 1);
  if (!lowerHex.test(hex)) return "not lower-case hex";
  return hex.length === wanted ? "ok" : "wrong number of hex digits";
}

function failure(text: unknown, verdict: Verdict): CodedError {
  const subject = `digest ${quote(text)}`;
  if (verdict === "unknown algorithm") {
    return new CodedError("ERR_NOT_IMPLEMENTED", `${subject}: algorithm is not one of sha256, sha384, sha512`);
  }
  return new CodedError("ERR_INVALID_ARGUMENT", `${subject}: ${verdict}`);
}

function quote(text: unknown): string {
  if (typeof text !== "string") return typeof text;
  return JSON.stringify(text.length > maxLength ? `${text.slice(0, 80)}…` : text);
}
