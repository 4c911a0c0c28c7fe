import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";

export type Fields = Record<string, unknown>;

export function descriptor(mediaType: string, extra: Fields = {}): Fields {
  return { mediaType, digest: digestOf(mediaType), size: 10, ...extra };
}

export function manifest(extra: Fields = {}): Fields {
  return {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: descriptor(mediaTypes.ociConfig),
    layers: [descriptor(mediaTypes.ociLayerGzip), descriptor(mediaTypes.ociLayerZstd)],
    ...extra,
  };
}

export function index(extra: Fields = {}): Fields {
  return {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [descriptor(mediaTypes.ociManifest, { platform: { architecture: "amd64", os: "linux" } })],
    ...extra,
  };
}

export function config(extra: Fields = {}): Fields {
  return {
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: [digestOf("a"), digestOf("b")] },
    ...extra,
  };
}

export function bytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
