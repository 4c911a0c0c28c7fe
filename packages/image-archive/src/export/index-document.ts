import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { ImageToExport } from "../image-archive.ts";
import { namedEntries } from "../names.ts";

/**
 * The entries of an `index.json` for these images, with their fields in one order: what a store gives back may have another one.
 *
 * @throws ERR_INVALID_ARGUMENT a name is no reference, or a tag no tag
 */
export function indexEntries(images: readonly ImageToExport[]): readonly Descriptor[] {
  return images.flatMap(namedEntries).map(({ mediaType, digest, size, annotations, platform, artifactType }) => ({
    mediaType,
    digest,
    size,
    ...(annotations === undefined ? {} : { annotations: sorted(annotations) }),
    ...(platform === undefined ? {} : { platform }),
    ...(artifactType === undefined ? {} : { artifactType }),
  }));
}

/** An `index.json`; `rest` are the other fields of one that is written again. */
export function indexDocument(manifests: readonly Descriptor[], rest: object = {}): Buffer {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, ...rest, manifests }));
}

function sorted(annotations: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(annotations).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
