import type { Compression } from "@varve/compression";
import { CodedError } from "@varve/errors";
import { mediaTypes } from "@varve/oci";

const compressions: ReadonlyMap<string, Compression> = new Map([
  [mediaTypes.ociLayer, "none"],
  [mediaTypes.ociLayerGzip, "gzip"],
  [mediaTypes.ociLayerZstd, "zstd"],
  [mediaTypes.dockerLayer, "none"],
  [mediaTypes.dockerLayerGzip, "gzip"],
  [mediaTypes.dockerLayerZstd, "zstd"],
]);

/**
 * How a layer of that media type is compressed (U-DIFF.8).
 *
 * @throws ERR_NOT_IMPLEMENTED no layer of that type can be written
 */
export function compressionFor(mediaType: string): Compression {
  const compression = compressions.get(mediaType);
  if (compression !== undefined) return compression;
  throw new CodedError("ERR_NOT_IMPLEMENTED", `compare: media type ${mediaType}: not supported`);
}
