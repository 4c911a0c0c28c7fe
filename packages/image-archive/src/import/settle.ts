import { blobExists, canLabel } from "@varve/content";
import { CodedError } from "@varve/errors";
import { childrenOf } from "@varve/images";
import { isForeignLayerType, isIndexType, isManifestType, isSchema1Type, useInlineData } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { childLabels } from "@varve/remotes";
import type { ArchivedImage, ImportOptions } from "../image-archive.ts";
import { once, storeBlob } from "./store-blob.ts";

/** Brings a blob into the store, from wherever the import reads, and says whether it is there now. */
export type Bring = (descriptor: Descriptor) => Promise<boolean>;

/** Indexes in indexes: one is the rule. */
const maxDepth = 8;

/**
 * Goes through the images from the top and sees to it that each is whole: that every blob of a manifest is there, and of an
 * index at least one image. Every blob that is there and names others gets the labels that keep them.
 *
 * @throws ERR_INVALID_DATA a blob is missing, or a document malformed
 * @throws ERR_DIGEST_MISMATCH a blob has another size than its descriptor says
 */
export async function settleImages(
  images: readonly ArchivedImage[],
  bring: Bring,
  options: ImportOptions,
): Promise<readonly ArchivedImage[]> {
  const settling = new Settling(bring, options);
  for (const { target } of images) await settling.mustBeWhole(target);
  return images;
}

/** A blob is there if the archive had it, the store has it, or its descriptor carries it. */
export function bringStored(options: ImportOptions): Bring {
  const { content, signal } = options;
  return async (descriptor) => {
    const { digest, size } = descriptor;
    const inline = useInlineData(descriptor);
    if (inline !== undefined) {
      const from = { content, subject: `content ${digest}`, ref: `import-${digest}`, digest, size, signal };
      await storeBlob(once(inline), from);
    }
    if (!(await blobExists(content, digest, { signal }))) return false;
    const info = await content.info(digest, { signal });
    if (info.size === size) return true;
    throw new CodedError("ERR_DIGEST_MISMATCH", `content ${digest}: ${info.size} bytes, its descriptor says ${size}`);
  };
}

class Settling {
  readonly #bring: Bring;
  readonly #options: ImportOptions;
  /** Documents that were gone through, or are being: however often they are named, they are read once. */
  readonly #whole: Map<string, boolean> = new Map();
  readonly #blobs: Map<string, boolean> = new Map();
  /** The first blob that was missing, to name it. */
  #missing: Descriptor | undefined;

  constructor(bring: Bring, options: ImportOptions) {
    this.#bring = bring;
    this.#options = options;
  }

  async mustBeWhole(target: Descriptor): Promise<void> {
    this.#missing = undefined;
    if (await this.#isWhole(target, 0)) return;
    const missing = this.#missing ?? target;
    const which = missing.digest === target.digest ? "its manifest" : missing.digest;
    throw new CodedError("ERR_INVALID_DATA", `image ${target.digest}: not whole: ${which} is missing`);
  }

  async #isWhole(descriptor: Descriptor, depth: number): Promise<boolean> {
    const { digest, mediaType } = descriptor;
    this.#options.signal?.throwIfAborted();
    if (depth >= maxDepth && isIndexType(mediaType)) {
      throw new CodedError("ERR_RESOURCE_EXHAUSTED", `index ${digest}: more than ${maxDepth} indexes in one another`);
    }
    if (!isIndexType(mediaType) && !isManifestType(mediaType) && !isSchema1Type(mediaType)) {
      return (await this.#isThere(descriptor)) || isForeignLayerType(mediaType);
    }
    const key = `${mediaType} ${digest}`;
    const known = this.#whole.get(key);
    if (known !== undefined) return known;
    const whole = (await this.#isThere(descriptor)) && (await this.#childrenAreWhole(descriptor, depth));
    this.#whole.set(key, whole);
    return whole;
  }

  async #childrenAreWhole(descriptor: Descriptor, depth: number): Promise<boolean> {
    const { content, signal } = this.#options;
    const children = await childrenOf(content, descriptor, { signal });
    const results: boolean[] = [];
    for (const child of children) results.push(await this.#isWhole(child, depth + 1));
    if (children.length > 0 && canLabel(content)) {
      await content.label(descriptor.digest, childLabels(children), { signal });
    }
    return isIndexType(descriptor.mediaType)
      ? results.length === 0 || results.includes(true)
      : !results.includes(false);
  }

  async #isThere(descriptor: Descriptor): Promise<boolean> {
    const key = `${descriptor.digest} ${descriptor.size}`;
    const there = this.#blobs.get(key) ?? (await this.#bring(descriptor));
    this.#blobs.set(key, there);
    if (!there) this.#missing ??= descriptor;
    return there;
  }
}
