import { parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { defined } from "./json-object.ts";
import type { JsonObject } from "./json-object.ts";
import { mediaTypes } from "./media-types.ts";
import type { Platform } from "./platform.ts";

/** Names a blob: what it is, what its bytes hash to, how many there are. Fields not listed here are kept when read. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Where else the bytes may be had. */
  readonly urls?: readonly string[] | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** The bytes themselves in base64, unverified: read them with `useInlineData`. */
  readonly data?: string | undefined;
  readonly platform?: Platform | undefined;
  /** What the manifest is, if it is not an image. */
  readonly artifactType?: string | undefined;
}

/** The config of manifests that have none: the two bytes `{}` (M11). */
export const emptyConfig: Descriptor = {
  mediaType: mediaTypes.ociEmpty,
  digest: parseDigest("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
  size: 2,
  data: "e30=",
};

export const descriptorFields: readonly string[] = [
  "mediaType",
  "digest",
  "size",
  "urls",
  "annotations",
  "data",
  "platform",
  "artifactType",
];
export const platformFields: readonly string[] = ["architecture", "os", "variant", "os.version", "os.features"];

/**
 * Whether a descriptor of an index names statements about another entry instead of an image, as BuildKit writes them:
 * platform unknown/unknown, or its annotation.
 */
export function isAttestationManifest(descriptor: Descriptor): boolean {
  const { annotations, platform } = descriptor;
  if (annotations?.["vnd.docker.reference.type"] === "attestation-manifest") return true;
  return platform?.os === "unknown" && platform.architecture === "unknown";
}

export function readDescriptor(source: JsonObject): Descriptor {
  const platform = source.object("platform", platformFields);
  return {
    ...source.fields,
    mediaType: source.required("mediaType", source.text("mediaType")),
    digest: source.required("digest", source.digest("digest")),
    size: source.required("size", source.size("size")),
    ...defined({
      urls: source.texts("urls"),
      annotations: source.textMap("annotations"),
      data: source.text("data"),
      platform: platform && readPlatform(platform),
      artifactType: source.text("artifactType"),
    }),
  };
}

export function readPlatform(source: JsonObject): Platform {
  return {
    ...source.fields,
    // Registries hold entries without them; containerd reads those as empty too.
    architecture: source.text("architecture") ?? "",
    os: source.text("os") ?? "",
    ...defined({
      variant: source.text("variant"),
      "os.version": source.text("os.version"),
      "os.features": source.texts("os.features"),
    }),
  };
}
