import { CodedError } from "@varve/errors";
import { isIndexType, isManifestType, isSchema1Type, mediaTypes, parseJson } from "@varve/oci";

// The wildcard comes last: without it some registries refuse to name what they have (M1).
export const manifestAccept: string = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerIndex,
  mediaTypes.dockerManifest,
  "*/*",
].join(", ");

/** Whether a type alone says what a manifest is; others are given by servers that do not know what they serve. */
export function isTelling(type: string): boolean {
  return isManifestType(type) || isIndexType(type);
}

/** @throws ERR_NOT_IMPLEMENTED Docker schema 1 (M7) */
export function refuseSchema1(type: string, subject: string): void {
  if (!isSchema1Type(type)) return;
  const why = "docker schema 1 manifests are not supported: push the image again with a current tool";
  throw new CodedError("ERR_NOT_IMPLEMENTED", `${subject}: ${why}`);
}

/**
 * The media type of a manifest: the server's if it tells anything, else what the document says of itself.
 *
 * @throws ERR_INVALID_DATA the two disagree, the document is of two kinds (M5), or it is no JSON object
 * @throws ERR_NOT_IMPLEMENTED Docker schema 1
 */
export function typeOfManifest(served: string, bytes: Uint8Array, subject: string): string {
  refuseSchema1(served, subject);
  const fields = fieldsOf(bytes, subject);
  // Schema 1 is also served as text/plain, for its signature's sake.
  if ("fsLayers" in fields) refuseSchema1(mediaTypes.dockerSchema1, subject);
  const own = typeof fields.mediaType === "string" ? fields.mediaType : undefined;
  const type = isTelling(served) ? served : own !== undefined && isTelling(own) ? own : typeByFields(fields);
  if (type === undefined) return served === "" ? "application/octet-stream" : served;
  if (own !== undefined && own !== type) {
    throw new CodedError("ERR_INVALID_DATA", `${subject}: served as ${type}, but says of itself ${quote(own)}`);
  }
  if (("layers" in fields && !isManifestType(type)) || ("manifests" in fields && !isIndexType(type))) {
    const text = "layers" in fields && "manifests" in fields ? "has both layers and manifests" : `is no ${type}`;
    throw new CodedError("ERR_INVALID_DATA", `${subject}: the document ${text}`);
  }
  return type;
}

interface Fields {
  readonly mediaType?: unknown;
  readonly manifests?: unknown;
  readonly layers?: unknown;
  readonly fsLayers?: unknown;
}

function fieldsOf(bytes: Uint8Array, subject: string): Fields {
  const parsed = parseJson(bytes, subject, bytes.byteLength);
  if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed;
  throw new CodedError("ERR_INVALID_DATA", `${subject}: the registry's answer is no manifest`);
}

function typeByFields({ manifests, layers }: Fields): string | undefined {
  if (Array.isArray(manifests)) return mediaTypes.ociIndex;
  return Array.isArray(layers) ? mediaTypes.ociManifest : undefined;
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
