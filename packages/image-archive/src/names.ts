import { formatReference, parseReference } from "@varve/reference";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import type { ImageToExport } from "./image-archive.ts";

/** The full name of an image, as containerd and Docker write it. */
const imageNameKey = "io.containerd.image.name";
/** By the image specification a tag; podman and others write full names. */
const refNameKey = "org.opencontainers.image.ref.name";
const tagForm = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

export interface Names {
  readonly names: readonly string[];
  readonly tags: readonly string[];
}

/**
 * What an entry of an `index.json` calls its image. Names that are no references, as layouts may have them, are left out, and so are
 * those with the digest of something else.
 */
export function namesIn({ annotations, digest }: Descriptor): Names {
  const { [imageNameKey]: imageName, [refNameKey]: refName } = annotations ?? {};
  const full = imageName === undefined ? undefined : fullName(imageName, digest);
  if (full !== undefined) return { names: [full], tags: [] };
  if (refName === undefined) return { names: [], tags: [] };
  if (tagForm.test(refName)) return { names: [], tags: [refName] };
  const other = fullName(refName, digest);
  return { names: other === undefined ? [] : [other], tags: [] };
}

/** The descriptor without what `namesIn` reads. */
export function withoutNames(descriptor: Descriptor): Descriptor {
  const { annotations, ...rest } = descriptor;
  const others = Object.entries(annotations ?? {}).filter(([key]) => key !== imageNameKey && key !== refNameKey);
  return others.length === 0 ? rest : { ...rest, annotations: Object.fromEntries(others) };
}

/**
 * The entries of an `index.json` for an image: one for each of its names, as containerd writes them.
 *
 * @throws ERR_INVALID_ARGUMENT a name is no reference, or a tag no tag
 */
export function namedEntries({ target, names = [], tags = [] }: ImageToExport): readonly Descriptor[] {
  const plain = withoutNames(target);
  const named = (values: Readonly<Record<string, string>>): Descriptor => ({
    ...plain,
    annotations: { ...plain.annotations, ...values },
  });
  const entries = [
    ...names.map((name) => {
      const reference = parseReference(name);
      const full = formatReference(reference);
      // A digest is no tag: the whole name is what the specification's grammar allows then.
      const refName = reference.digest === undefined ? (reference.tag ?? full) : full;
      return named({ [imageNameKey]: full, [refNameKey]: refName });
    }),
    ...tags.map((tag) => {
      if (!tagForm.test(tag)) throw new CodedError("ERR_INVALID_ARGUMENT", `tag ${JSON.stringify(tag)}: not a tag`);
      return named({ [refNameKey]: tag });
    }),
  ];
  return entries.length === 0 ? [plain] : entries;
}

/**
 * Whether two entries of an `index.json` have one name: the same full one, or the same tag where one of them has no more than
 * that, or none at all and the same image.
 */
export function hasNameOf(entry: Descriptor, other: Descriptor): boolean {
  const [name, otherName] = [entry, other].map((one) => one.annotations?.[imageNameKey]);
  if (name !== undefined && otherName !== undefined) return name === otherName;
  const [refName, otherRefName] = [entry, other].map((one) => one.annotations?.[refNameKey]);
  return refName === otherRefName && (refName !== undefined || entry.digest === other.digest);
}

/** A reference in full, or `undefined` if the text is none, or has a digest that is not the image's. */
function fullName(text: string, digest: Digest): string | undefined {
  try {
    const reference = parseReference(text);
    return reference.digest === undefined || reference.digest === digest ? formatReference(reference) : undefined;
  } catch {
    return undefined;
  }
}
