import { openBlob } from "@varve/content";
import type { Provider } from "@varve/content";
import { hasCode } from "@varve/errors";
import { childrenOf } from "@varve/images";
import { isForeignLayerType, isIndexType, isManifestType } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { ChildrenOptions, ExportOptions } from "../image-archive.ts";

const maxDepth = 8;

/** Everything that a manifest names, and of an index the images that are stored whole. */
export function storedChildren(provider: Provider): NonNullable<ExportOptions["children"]> {
  // Indexes can name one thing many times.
  const known = new Map<string, boolean>();
  return async (descriptor, options) => {
    const children = await childrenOf(provider, descriptor, options);
    if (!isIndexType(descriptor.mediaType)) return children;
    const kept: Descriptor[] = [];
    for (const child of children) if (await isWhole(child, 1)) kept.push(child);
    return kept;

    async function isWhole(child: Descriptor, depth: number): Promise<boolean> {
      const key = `${child.mediaType} ${child.digest}`;
      const whole = known.get(key) ?? (depth < maxDepth && (await look(child, depth)));
      known.set(key, whole);
      return whole;
    }

    async function look(child: Descriptor, depth: number): Promise<boolean> {
      if (!(await isStored(provider, child, options))) return isForeignLayerType(child.mediaType);
      const isIndex = isIndexType(child.mediaType);
      if (!isIndex && !isManifestType(child.mediaType)) return true;
      const below = await childrenOf(provider, child, options);
      // One whole image makes an index worth having; one missing blob makes a manifest worthless.
      for (const one of below) if ((await isWhole(one, depth + 1)) === isIndex) return isIndex;
      return !isIndex || below.length === 0;
    }
  };
}

async function isStored(provider: Provider, descriptor: Descriptor, options: ChildrenOptions): Promise<boolean> {
  try {
    const reader = await openBlob(provider, descriptor, options);
    await reader.close();
    return true;
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return false;
    throw error;
  }
}
