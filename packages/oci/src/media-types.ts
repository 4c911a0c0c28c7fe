/** The media types of images, by short name (OCI image specification, Docker image manifest V2). */
export const mediaTypes = {
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  ociIndex: "application/vnd.oci.image.index.v1+json",
  ociConfig: "application/vnd.oci.image.config.v1+json",
  ociEmpty: "application/vnd.oci.empty.v1+json",
  ociLayer: "application/vnd.oci.image.layer.v1.tar",
  ociLayerGzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  ociLayerZstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  ociForeignLayer: "application/vnd.oci.image.layer.nondistributable.v1.tar",
  ociForeignLayerGzip: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
  ociForeignLayerZstd: "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerIndex: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
  dockerLayer: "application/vnd.docker.image.rootfs.diff.tar",
  dockerLayerGzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
  dockerLayerZstd: "application/vnd.docker.image.rootfs.diff.tar.zstd",
  dockerForeignLayer: "application/vnd.docker.image.rootfs.foreign.diff.tar",
  dockerForeignLayerGzip: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
  dockerSchema1: "application/vnd.docker.distribution.manifest.v1+json",
  dockerSchema1Signed: "application/vnd.docker.distribution.manifest.v1+prettyjws",
  inToto: "application/vnd.in-toto+json",
} as const;

const manifestTypes: ReadonlySet<string> = new Set([mediaTypes.ociManifest, mediaTypes.dockerManifest]);
const indexTypes: ReadonlySet<string> = new Set([mediaTypes.ociIndex, mediaTypes.dockerIndex]);
const configTypes: ReadonlySet<string> = new Set([mediaTypes.ociConfig, mediaTypes.dockerConfig]);
const schema1Types: ReadonlySet<string> = new Set([mediaTypes.dockerSchema1, mediaTypes.dockerSchema1Signed]);
const dockerForeignTypes: ReadonlySet<string> = new Set([
  mediaTypes.dockerForeignLayer,
  mediaTypes.dockerForeignLayerGzip,
]);
const dockerLayerTypes: ReadonlySet<string> = new Set([
  mediaTypes.dockerLayer,
  mediaTypes.dockerLayerGzip,
  mediaTypes.dockerLayerZstd,
]);
const ociLayerPrefix = "application/vnd.oci.image.layer.";
const ociForeignPrefix = "application/vnd.oci.image.layer.nondistributable.";

/** An image manifest of OCI or Docker schema 2. */
export function isManifestType(mediaType: string): boolean {
  return manifestTypes.has(mediaType);
}

/** An OCI index or a Docker manifest list. */
export function isIndexType(mediaType: string): boolean {
  return indexTypes.has(mediaType);
}

/** An image config. Other types stand in the same place in artifacts, and are not to be read as an image (M11). */
export function isConfigType(mediaType: string): boolean {
  return configTypes.has(mediaType);
}

/** A file system layer, foreign and encrypted ones included. */
export function isLayerType(mediaType: string): boolean {
  return mediaType.startsWith(ociLayerPrefix) || dockerLayerTypes.has(mediaType) || dockerForeignTypes.has(mediaType);
}

/** A layer that registries need not keep ("foreign", "non-distributable"): its bytes may have to come from `urls`. */
export function isForeignLayerType(mediaType: string): boolean {
  return mediaType.startsWith(ociForeignPrefix) || dockerForeignTypes.has(mediaType);
}

/** A layer encrypted by ocicrypt: it cannot be unpacked as it is. */
export function isEncryptedLayerType(mediaType: string): boolean {
  return isLayerType(mediaType) && mediaType.endsWith("+encrypted");
}

/** Docker schema 1, which nothing here can read (M7). */
export function isSchema1Type(mediaType: string): boolean {
  return schema1Types.has(mediaType);
}

/** A statement about an image, in a layer's place: fetched, never unpacked (U-IMG.15). */
export function isAttestationType(mediaType: string): boolean {
  return mediaType === mediaTypes.inToto;
}

/**
 * The compression that a layer's type names, or `undefined` where it does not say. A hint for people: images with
 * the wrong suffix exist, so unpacking goes by the first bytes.
 */
export function layerCompression(mediaType: string): "none" | "gzip" | "zstd" | undefined {
  // Docker's plain types were used for layers of either form.
  if (mediaType === mediaTypes.dockerLayer || mediaType === mediaTypes.dockerForeignLayer) return undefined;
  if (!isLayerType(mediaType)) return undefined;
  if (/[.+]gzip$/.test(mediaType)) return "gzip";
  if (/[.+]zstd$/.test(mediaType)) return "zstd";
  return mediaType.endsWith(".tar") ? "none" : undefined;
}

/** The type in a `Content-Type` header: without parameters, lower-case (M5). */
export function bareMediaType(contentType: string): string {
  return (contentType.split(";", 1)[0] ?? "").trim().toLowerCase();
}
