import { mediaTypes } from "@varve/oci";
import { inject } from "vitest";
import type { Environment } from "./global-setup.ts";

/** The environment of this run. Tests say `test.skipIf(environment.missing !== undefined)`. */
export const environment: Environment = inject("environment");

/** One real image in one of its forms. */
export interface ImageUnderTest {
  readonly name: string;
  readonly reference: string;
  /** The layout that umoci reads the same image from. */
  readonly layout: string;
  readonly manifestType: string;
  readonly layerType: string;
}

const forms = [
  { tag: "oci-gzip", manifestType: mediaTypes.ociManifest, layerType: mediaTypes.ociLayerGzip },
  { tag: "oci-zstd", manifestType: mediaTypes.ociManifest, layerType: mediaTypes.ociLayerZstd },
  { tag: "docker-gzip", manifestType: mediaTypes.dockerManifest, layerType: mediaTypes.dockerLayerGzip },
] as const;

/** Every real image in every form. */
export const images: readonly ImageUnderTest[] = (["debian", "app"] as const).flatMap((image) =>
  forms.map(({ tag, ...types }) => ({
    ...types,
    name: `${image}:${tag}`,
    reference: `${environment.registry}/${image}:${tag}`,
    layout: environment.corpus[image],
  })),
);
