import { openBlob } from "@varve/content";
import type { Provider } from "@varve/content";
import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import { childrenOf } from "@varve/images";
import { isForeignLayerType, isIndexType, isManifestType } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { ExportOptions, ImageToExport } from "../image-archive.ts";
import { storedChildren } from "./stored-children.ts";

/** Everything that an export writes, found before its first byte. */
export interface Plan {
  readonly images: readonly ImageToExport[];
  /** Each blob once, in the order of their digests. */
  readonly blobs: readonly Descriptor[];
  /** The manifests of `target` that go along whole, in the order of the indexes. */
  manifestsOf(target: Descriptor): readonly Descriptor[];
}

const maxDescriptors = 100_000;
const maxDepth = 8;

/**
 * Finds what goes along with the images, and sees to it that all of it is stored.
 *
 * @throws ERR_NOT_FOUND a blob is not stored, or nothing of an index goes along
 * @throws ERR_INVALID_ARGUMENT a target is neither a manifest nor an index
 */
export async function planExport(images: readonly ImageToExport[], options: ExportOptions): Promise<Plan> {
  const planning = new Planning(options);
  for (const { target } of images) {
    if (!isIndexType(target.mediaType) && !isManifestType(target.mediaType)) {
      throw new CodedError("ERR_INVALID_ARGUMENT", `image ${target.digest}: neither a manifest nor an index`);
    }
    await planning.add(target, 0);
  }
  const blobs = Array.from(planning.blobs.values()).toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
  return { images, blobs, manifestsOf: (target) => planning.manifestsOf(target) };
}

class Planning {
  readonly blobs: Map<Digest, Descriptor> = new Map();
  readonly #provider: Provider;
  readonly #signal: AbortSignal;
  readonly #namesOf: (descriptor: Descriptor) => Promise<readonly Descriptor[]>;
  /** What goes along of each document; empty where a document is met again on the way down. */
  readonly #children: Map<string, readonly Descriptor[]> = new Map();
  #count = 0;

  constructor(options: ExportOptions) {
    const signal = options.signal ?? new AbortController().signal;
    const { provider, children = storedChildren(provider) } = options;
    this.#provider = provider;
    this.#signal = signal;
    this.#namesOf = (descriptor) => children(descriptor, { signal });
  }

  async add(descriptor: Descriptor, depth: number): Promise<void> {
    this.#signal.throwIfAborted();
    const { digest, mediaType } = descriptor;
    this.#count += 1;
    const isIndex = isIndexType(mediaType);
    if (this.#count > maxDescriptors || (isIndex && depth >= maxDepth)) {
      const why = `more than ${maxDescriptors} descriptors, or ${maxDepth} indexes in one another`;
      throw new CodedError("ERR_RESOURCE_EXHAUSTED", `image ${digest}: ${why}`);
    }
    if (!isIndex && !isManifestType(mediaType)) {
      await this.#addBlob(descriptor, { optional: isForeignLayerType(mediaType) });
      return;
    }
    if (this.#children.has(keyOf(descriptor))) return;
    this.#children.set(keyOf(descriptor), []);
    await this.#addBlob(descriptor, { optional: false });
    const children = await this.#namesOf(descriptor);
    if (isIndex && children.length === 0) await this.#mustBeEmpty(descriptor);
    for (const child of children) await this.add(child, depth + 1);
    this.#children.set(keyOf(descriptor), children);
  }

  manifestsOf(target: Descriptor): readonly Descriptor[] {
    const found = new Map<Digest, Descriptor>();
    // Through indexes that name one another many times there are more ways than anybody can go.
    const visited = new Set<string>();
    const visit = (descriptor: Descriptor): void => {
      const key = keyOf(descriptor);
      if (visited.has(key)) return;
      visited.add(key);
      if (isManifestType(descriptor.mediaType)) {
        const whole = (this.#children.get(key) ?? []).every(({ digest }) => this.blobs.has(digest));
        if (whole && !found.has(descriptor.digest)) found.set(descriptor.digest, descriptor);
      } else if (isIndexType(descriptor.mediaType)) {
        for (const child of this.#children.get(key) ?? []) visit(child);
      }
    };
    visit(target);
    return [...found.values()];
  }

  async #addBlob(descriptor: Descriptor, { optional }: { readonly optional: boolean }): Promise<void> {
    const { digest, size } = descriptor;
    const known = this.blobs.get(digest);
    if (known !== undefined && known.size === size) return;
    const stored = known?.size ?? (await this.#sizeOf(descriptor, optional));
    if (stored === undefined) return;
    if (stored !== size) {
      throw new CodedError("ERR_DIGEST_MISMATCH", `content ${digest}: ${stored} bytes, its descriptor says ${size}`);
    }
    this.blobs.set(digest, descriptor);
  }

  async #sizeOf(descriptor: Descriptor, optional: boolean): Promise<number | undefined> {
    try {
      const reader = await openBlob(this.#provider, descriptor, { signal: this.#signal });
      const { size } = reader;
      await reader.close();
      return size;
    } catch (error) {
      if (optional && hasCode(error, "ERR_NOT_FOUND")) return undefined;
      throw error;
    }
  }

  async #mustBeEmpty(index: Descriptor): Promise<void> {
    const all = await childrenOf(this.#provider, index, { signal: this.#signal });
    if (all.length === 0) return;
    throw new CodedError("ERR_NOT_FOUND", `index ${index.digest}: none of its images is wanted and stored whole`);
  }
}

function keyOf({ digest, mediaType }: Descriptor): string {
  return `${mediaType} ${digest}`;
}
