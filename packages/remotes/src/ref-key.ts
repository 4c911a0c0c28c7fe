import { isAttestationType, isConfigType, isIndexType, isLayerType, isManifestType } from "@varve/oci";
import type { Descriptor } from "@varve/oci";

/**
 * The ref under which `descriptor` is ingested: what it is, and its digest (S3.1, U-REM.1). The same blob has the same
 * ref in every process, so that one of them fetches it and the others wait.
 */
export function refKey(descriptor: Descriptor): string {
  return `${kindOf(descriptor.mediaType)}-${descriptor.digest}`;
}

function kindOf(mediaType: string): string {
  if (isManifestType(mediaType)) return "manifest";
  if (isIndexType(mediaType)) return "index";
  if (isLayerType(mediaType)) return "layer";
  if (isConfigType(mediaType)) return "config";
  return isAttestationType(mediaType) ? "attestation" : "unknown";
}
