import { CodedError } from "@varve/errors";
import { isIndexType, isManifestType, isSchema1Type, mediaTypes } from "@varve/oci";

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

interface Fields {
  readonly mediaType?: unknown;
  readonly manifests?: unknown;
  readonly layers?: unknown;
  readonly fsLayers?: unknown;
}

/**
 * The media type of a manifest: the server's if it tells anything, else what the document says of itself.
 *
 * @throws ERR_INVALID_DATA the two disagree (M5)
 * @throws ERR_NOT_IMPLEMENTED Docker schema 1
 */
export function typeOfManifest(served: string, bytes: Uint8Array, subject: string): string {
  refuseSchema1(served, subject);
  const fields = parse(bytes);
  // Schema 1 is also served as text/plain, for its signature's sake.
  if (fields.fsLayers !== undefined) refuseSchema1(mediaTypes.dockerSchema1, subject);
  const own = typeof fields.mediaType === "string" ? fields.mediaType : undefined;
  if (isTelling(served)) {
    if (own === undefined || own === served) return served;
    const text = `${subject}: served as ${served}, but says of itself ${JSON.stringify(own.slice(0, 100))}`;
    throw new CodedError("ERR_INVALID_DATA", text);
  }
  if (own !== undefined && isTelling(own)) return own;
  if (Array.isArray(fields.manifests)) return mediaTypes.ociIndex;
  if (Array.isArray(fields.layers)) return mediaTypes.ociManifest;
  return served === "" ? "application/octet-stream" : served;
}

function parse(bytes: Uint8Array): Fields {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    return typeof parsed === "object" && parsed !== null ? parsed : {};
  } catch {
    return {};
  }
}
