import type { Compression } from "@varve/compression";
import { mediaTypes } from "@varve/oci";

const types: Readonly<Record<Compression, string>> = {
  none: mediaTypes.ociLayer,
  gzip: mediaTypes.ociLayerGzip,
  zstd: mediaTypes.ociLayerZstd,
};

/** The media type of layers so compressed. */
export function layerType(compression: Compression): string {
  return types[compression];
}
