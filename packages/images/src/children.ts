import { readBlob } from "@varve/content";
import type { CallOptions, Provider } from "@varve/content";
import { isIndexType, isManifestType, isSchema1Type, parseIndex, parseManifest } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { Handler } from "./handler.ts";

/**
 * What a descriptor refers to: the manifests of an index; the config, then the layers of a manifest; nothing for anything
 * else (U-IMG.4). The blob is read from the store and verified.
 *
 * @throws ERR_NOT_FOUND the blob is not in the store
 * @throws ERR_INVALID_DATA the document is malformed, or of another kind than its media type says (U-IMG.5)
 * @throws ERR_NOT_IMPLEMENTED a Docker schema 1 manifest
 */
export async function childrenOf(
  provider: Provider,
  descriptor: Descriptor,
  options: CallOptions = {},
): Promise<readonly Descriptor[]> {
  const { mediaType } = descriptor;
  if (isIndexType(mediaType)) {
    return parseIndex(await readBlob(provider, descriptor, options), descriptor).manifests;
  }
  if (isManifestType(mediaType) || isSchema1Type(mediaType)) {
    const { config, layers } = parseManifest(await readBlob(provider, descriptor, options), descriptor);
    return [config, ...layers];
  }
  return [];
}

/** A handler that answers with the children of what is stored. */
export function childrenHandler(provider: Provider): Handler {
  return (descriptor, { signal }) => childrenOf(provider, descriptor, { signal });
}
