import { canLabel, labelDistributionSourcePrefix, labelGcRefContent } from "@varve/content";
import type { CallOptions, LabelChanges, Manager } from "@varve/content";
import type { Handler } from "@varve/images";
import { isConfigType, isIndexType, isLayerType, isManifestType } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { fetchBlob } from "./fetch-blob.ts";
import type { FetchBlobOptions } from "./fetch-blob.ts";

/** A handler that brings each descriptor's blob into the store, and names no children (S3.2). */
export function fetchHandler(options: Omit<FetchBlobOptions, "signal">): Handler {
  return async (descriptor, { signal }) => {
    await fetchBlob(descriptor, { ...options, signal });
    return [];
  };
}

/**
 * Wraps a handler that names children: each blob that has some is given the labels that keep them (U-GC.9). Set on
 * every pass, so blobs that were there before the pull get them too. In a store without labels it only names children.
 */
export function labelChildrenHandler(content: Manager, children: Handler): Handler {
  if (!canLabel(content)) return children;
  return async (descriptor, context) => {
    const found = await children(descriptor, context);
    if (found.length > 0) await content.label(descriptor.digest, childLabels(found), { signal: context.signal });
    return found;
  };
}

/** The labels by which a blob keeps its children: `.config`, `.m.<i>`, `.l.<i>`, others `.<i>`, counted for each kind. */
export function childLabels(children: readonly Descriptor[]): Record<string, string> {
  const labels: Record<string, string> = {};
  const counts = new Map<string, number>();
  for (const child of children) {
    const prefix = labelPrefix(child.mediaType);
    const index = counts.get(prefix) ?? 0;
    counts.set(prefix, index + 1);
    const name = prefix === ".config" && index === 0 ? prefix : `${prefix}.${index}`;
    labels[`${labelGcRefContent}${name}`] = child.digest;
  }
  return labels;
}

function labelPrefix(mediaType: string): string {
  if (isConfigType(mediaType)) return ".config";
  if (isManifestType(mediaType) || isIndexType(mediaType)) return ".m";
  return isLayerType(mediaType) ? ".l" : "";
}

const maxLabelBytes = 4096;

/**
 * Notes on a blob that `repository` of `host` has it, so that a later push there can ask for a mount instead of sending
 * bytes (U-REM.5). Repositories already noted stay; nothing happens in a store without labels.
 */
export async function labelDistributionSource(
  content: Manager,
  descriptor: Descriptor,
  source: { readonly host: string; readonly repository: string } & CallOptions,
): Promise<void> {
  if (!canLabel(content)) return;
  const { host, repository, signal } = source;
  const name = `${labelDistributionSourcePrefix}${host}`;
  const known = (await content.info(descriptor.digest, { signal })).labels[name];
  const repositories = new Set((known ?? "").split(",").filter((one) => one !== ""));
  if (repositories.has(repository)) return;
  const value = [...repositories.add(repository)].toSorted().join(",");
  // Only a hint: when there is no room left, the repositories that are noted must do.
  if (name.length + value.length > maxLabelBytes) return;
  const changes: LabelChanges = { [name]: value };
  await content.label(descriptor.digest, changes, { signal });
}
