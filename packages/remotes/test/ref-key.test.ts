import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { refKey } from "@varve/remotes";
import { expect, test } from "vitest";

const digest = digestOf("x");

// S3.1, U-REM.1
test.each([
  [mediaTypes.ociManifest, "manifest"],
  [mediaTypes.dockerManifest, "manifest"],
  [mediaTypes.ociIndex, "index"],
  [mediaTypes.dockerIndex, "index"],
  [mediaTypes.ociConfig, "config"],
  [mediaTypes.dockerConfig, "config"],
  [mediaTypes.ociLayer, "layer"],
  [mediaTypes.ociLayerZstd, "layer"],
  [mediaTypes.dockerLayerGzip, "layer"],
  [mediaTypes.dockerForeignLayerGzip, "layer"],
  [mediaTypes.ociForeignLayerGzip, "layer"],
  ["application/vnd.in-toto+json", "attestation"],
  ["application/octet-stream", "unknown"],
  ["", "unknown"],
])("the ref of %j begins with %s", (mediaType, kind) => {
  expect(refKey({ mediaType, digest, size: 1 })).toBe(`${kind}-${digest}`);
});

// D10: a name would keep two pulls of the same blob apart.
test("annotations do not change the ref", () => {
  const annotations = { "org.opencontainers.image.ref.name": "latest" };
  const descriptor = { mediaType: mediaTypes.ociManifest, digest, size: 1 };
  expect(refKey({ ...descriptor, annotations })).toBe(refKey(descriptor));
});
