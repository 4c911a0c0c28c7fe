import {
  bareMediaType,
  isAttestationType,
  isConfigType,
  isEncryptedLayerType,
  isForeignLayerType,
  isIndexType,
  isLayerType,
  isManifestType,
  isSchema1Type,
  layerCompression,
  mediaTypes,
} from "@varve/oci";
import { expect, test } from "vitest";

const kinds = {
  manifest: isManifestType,
  index: isIndexType,
  config: isConfigType,
  layer: isLayerType,
  foreign: isForeignLayerType,
  encrypted: isEncryptedLayerType,
  schema1: isSchema1Type,
  attestation: isAttestationType,
};

test.each([
  [mediaTypes.ociManifest, ["manifest"]],
  [mediaTypes.dockerManifest, ["manifest"]],
  [mediaTypes.ociIndex, ["index"]],
  [mediaTypes.dockerIndex, ["index"]],
  [mediaTypes.ociConfig, ["config"]],
  [mediaTypes.dockerConfig, ["config"]],
  [mediaTypes.ociEmpty, []],
  [mediaTypes.ociLayer, ["layer"]],
  [mediaTypes.ociLayerGzip, ["layer"]],
  [mediaTypes.ociLayerZstd, ["layer"]],
  [mediaTypes.dockerLayer, ["layer"]],
  [mediaTypes.dockerLayerGzip, ["layer"]],
  [mediaTypes.dockerLayerZstd, ["layer"]],
  [mediaTypes.ociForeignLayer, ["layer", "foreign"]],
  [mediaTypes.ociForeignLayerGzip, ["layer", "foreign"]],
  [mediaTypes.ociForeignLayerZstd, ["layer", "foreign"]],
  [mediaTypes.dockerForeignLayer, ["layer", "foreign"]],
  [mediaTypes.dockerForeignLayerGzip, ["layer", "foreign"]],
  [`${mediaTypes.ociLayerGzip}+encrypted`, ["layer", "encrypted"]],
  [mediaTypes.dockerSchema1, ["schema1"]],
  [mediaTypes.dockerSchema1Signed, ["schema1"]],
  [mediaTypes.inToto, ["attestation"]],
  ["application/octet-stream", []],
  ["", []],
  ["constructor", []],
])("%s is %j", (mediaType, expected) => {
  expect(Object.entries(kinds).flatMap(([name, is]) => (is(mediaType) ? [name] : []))).toEqual(expected);
});

test.each([
  [mediaTypes.ociLayer, "none"],
  [mediaTypes.ociLayerGzip, "gzip"],
  [mediaTypes.ociLayerZstd, "zstd"],
  [mediaTypes.ociForeignLayer, "none"],
  [mediaTypes.dockerLayerGzip, "gzip"],
  [mediaTypes.dockerLayerZstd, "zstd"],
  [mediaTypes.dockerForeignLayerGzip, "gzip"],
  // Docker used its plain type for either form.
  [mediaTypes.dockerLayer, undefined],
  [mediaTypes.dockerForeignLayer, undefined],
  [`${mediaTypes.ociLayerGzip}+encrypted`, undefined],
  [`${mediaTypes.ociLayer}+brotli`, undefined],
  [mediaTypes.ociConfig, undefined],
  ["application/gzip", undefined],
])("the type %s hints at compression %s", (mediaType, compression) => {
  expect(layerCompression(mediaType)).toBe(compression);
});

// M5
test.each([
  ["application/json; charset=utf-8", "application/json"],
  [" Application/Vnd.OCI.image.index.v1+JSON ;a=b;c=d", mediaTypes.ociIndex],
  ["", ""],
])("the parameters of %j do not count", (header, bare) => {
  expect(bareMediaType(header)).toBe(bare);
});
