import { isDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { bareMediaType, isIndexType, isManifestType, mediaTypes, parseJson } from "@varve/oci";
import { ProtocolError } from "./protocol-error.ts";

/** What the server must know of a manifest. It never judges or changes more of it than this. */
export interface ManifestFacts {
  readonly mediaType: string;
  /** Everything that it names, but for its subject. */
  readonly references: readonly Reference[];
  /** The manifest that it belongs to. */
  readonly subject?: Digest | undefined;
  /** As lists of referrers show it. */
  readonly artifactType?: string | undefined;
  readonly annotations?: object | undefined;
}

/** What is kept of one thing that a manifest names; nothing in it is as long as an author likes. */
export interface Reference {
  readonly digest: Digest;
  /** Another manifest, by the type that it is said to have. */
  readonly isManifest: boolean;
  /** It must be there before the manifest: not kept elsewhere (`urls`), and not one of the images of an index. */
  readonly isRequired: boolean;
}

/** Each is looked up when a manifest is pushed, and becomes a label. */
const maxReferences = 10_000;

interface Fields {
  readonly mediaType?: unknown;
  readonly artifactType?: unknown;
  readonly config?: unknown;
  readonly layers?: unknown;
  readonly manifests?: unknown;
  readonly subject?: unknown;
  readonly annotations?: unknown;
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
  const { subject, annotations } = fields;
  return {
    mediaType,
    references: isIndex
      ? referencesIn([fields.manifests], false)
      : referencesIn([[fields.config], fields.layers], true),
    subject: subject === undefined || subject === null ? undefined : descriptorIn(subject).digest,
    artifactType: artifactTypeOf(fields),
    annotations: typeof annotations === "object" && annotations !== null ? annotations : undefined,
  };
}

/** As `readManifest`, of bytes that may be something else. */
export function manifestIn(bytes: Uint8Array): ManifestFacts | undefined {
  try {
    return readManifest(bytes);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

function parse(bytes: Uint8Array): Fields {
  let parsed: unknown;
  try {
    parsed = parseJson(bytes, "manifest", bytes.byteLength);
  } catch (error) {
    if (hasCode(error, "ERR_INVALID_DATA")) throw invalid("not JSON, or JSON of two meanings, or of too many parts");
    throw error;
  }
  if (typeof parsed !== "object" || parsed === null) throw invalid("not a JSON object");
  return parsed;
}

function referencesIn(lists: readonly unknown[], isRequired: boolean): readonly Reference[] {
  const found = new Map<Digest, Reference>();
  for (const list of lists) {
    const entries: readonly unknown[] = Array.isArray(list) ? list : [undefined];
    for (const entry of entries) {
      const { digest, mediaType, urls } = descriptorIn(entry);
      const isElsewhere = Array.isArray(urls) && urls.length > 0;
      found.set(digest, {
        digest,
        isManifest: typeof mediaType === "string" && isManifestOrIndex(mediaType),
        isRequired: found.get(digest)?.isRequired === true || (isRequired && !isElsewhere),
      });
      if (found.size > maxReferences) throw invalid(`it names more than ${maxReferences} things`);
    }
  }
  return [...found.values()];
}

function isManifestOrIndex(mediaType: string): boolean {
  const bare = bareMediaType(mediaType);
  return isManifestType(bare) || isIndexType(bare);
}

/** The digest is one; the rest is as it was found. */
interface RawDescriptor {
  readonly digest: Digest;
  readonly mediaType?: unknown;
  readonly urls?: unknown;
}

function descriptorIn(entry: unknown): RawDescriptor {
  if (typeof entry === "object" && entry !== null && "digest" in entry && isDigest(entry.digest)) {
    return { ...entry, digest: entry.digest };
  }
  throw invalid("it has a descriptor without a valid digest");
}

/** A manifest without one has the type of its config (distribution specification, "Listing Referrers"). */
function artifactTypeOf({ artifactType, config }: Fields): string | undefined {
  if (typeof artifactType === "string" && artifactType !== "") return artifactType;
  if (typeof config !== "object" || config === null || !("mediaType" in config)) return undefined;
  return typeof config.mediaType === "string" ? config.mediaType : undefined;
}

function invalid(why: string): ProtocolError {
  return new ProtocolError("MANIFEST_INVALID", `manifest: ${why}`);
}
