import { isDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { isIndexType, isManifestType, mediaTypes } from "@varve/oci";
import { ProtocolError } from "./protocol-error.ts";

/** What the server must know of a manifest. It never judges or changes more of it than this. */
export interface ManifestFacts {
  readonly mediaType: string;
  /** The blobs and manifests that must be there before it. */
  readonly children: readonly Digest[];
}

interface Fields {
  readonly mediaType?: unknown;
  readonly config?: unknown;
  readonly layers?: unknown;
  readonly manifests?: unknown;
}

/**
 * Reads a manifest or an index.
 *
 * @throws ProtocolError MANIFEST_INVALID it is neither, or both, or of a type that is not supported
 */
export function readManifest(bytes: Uint8Array): ManifestFacts {
  const fields = parse(bytes);
  const isIndex = Array.isArray(fields.manifests);
  // Clients would disagree on what such a thing is (OCI image specification, security advisory on media types).
  if (isIndex === Array.isArray(fields.layers)) throw invalid("it must have either layers or manifests");
  const { mediaType = isIndex ? mediaTypes.ociIndex : mediaTypes.ociManifest } = fields;
  if (typeof mediaType !== "string" || !(isIndex ? isIndexType : isManifestType)(mediaType)) {
    throw invalid("its mediaType does not fit, or is not supported");
  }
  return { mediaType, children: isIndex ? digests(fields.manifests) : digests([fields.config], fields.layers) };
}

function parse(bytes: Uint8Array): Fields {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw invalid("not JSON");
  }
  if (typeof parsed !== "object" || parsed === null) throw invalid("not a JSON object");
  return parsed;
}

function digests(...lists: readonly unknown[]): Digest[] {
  const found = new Set<Digest>();
  for (const list of lists) {
    const entries: readonly unknown[] = Array.isArray(list) ? list : [undefined];
    for (const entry of entries) {
      if (typeof entry !== "object" || entry === null || !("digest" in entry) || !isDigest(entry.digest)) {
        throw invalid("it has a descriptor without a valid digest");
      }
      // Kept elsewhere on purpose (non-distributable layers).
      if (!("urls" in entry && Array.isArray(entry.urls) && entry.urls.length > 0)) found.add(entry.digest);
    }
  }
  return [...found];
}

function invalid(why: string): ProtocolError {
  return new ProtocolError("MANIFEST_INVALID", `manifest: ${why}`);
}
