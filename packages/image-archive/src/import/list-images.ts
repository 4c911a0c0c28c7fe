import { CodedError } from "@varve/errors";
import { isIndexType, isManifestType, isSchema1Type, parseIndex } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { ArchivedImage } from "../image-archive.ts";
import { namesIn, withoutNames } from "../names.ts";
import { about } from "../subject.ts";

/**
 * The images that an `index.json` lists, one for each target, in its order. What is neither a manifest nor an index is left
 * out, as the image specification wants it.
 *
 * @throws ERR_INVALID_DATA malformed, or one digest as two things
 */
export async function imagesOfIndex(bytes: Uint8Array, subject: string): Promise<readonly ArchivedImage[]> {
  const index = await about(subject, () => parseIndex(bytes));
  const images = index.manifests.filter(({ mediaType }) => isImage(mediaType));
  return mergeImages(
    images.map((entry) => ({ ...namesIn(entry), target: withoutNames(entry) })),
    subject,
  );
}

/** What nobody reads any more is refused later, by its name. */
function isImage(mediaType: string): boolean {
  return isIndexType(mediaType) || isManifestType(mediaType) || isSchema1Type(mediaType);
}

/** Makes one image of those with one target, with all their names. */
export function mergeImages(images: readonly ArchivedImage[], subject: string): readonly ArchivedImage[] {
  const merged = new Map<
    string,
    { readonly target: Descriptor; readonly names: Set<string>; readonly tags: Set<string> }
  >();
  for (const { target, names, tags } of images) {
    const known = merged.get(target.digest);
    if (known === undefined) {
      merged.set(target.digest, { target, names: new Set(names), tags: new Set(tags) });
      continue;
    }
    if (known.target.mediaType !== target.mediaType || known.target.size !== target.size) {
      throw new CodedError("ERR_INVALID_DATA", `${subject}: ${target.digest} is listed as two things`);
    }
    for (const name of names) known.names.add(name);
    for (const tag of tags) known.tags.add(tag);
  }
  return Array.from(merged.values(), ({ target, names, tags }) => ({ target, names: [...names], tags: [...tags] }));
}
