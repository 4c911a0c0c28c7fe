import { labelDistributionSourcePrefix } from "@varve/content";
import type { CallOptions } from "@varve/content";
import type { OnProgress } from "@varve/images";
import type { Namespace } from "@varve/metadata";
import type { Descriptor } from "@varve/oci";
import { parseReference } from "@varve/reference";
import { fetchBlob, labelDistributionSource } from "@varve/remotes";
import type { Fetcher } from "@varve/remotes";

export interface BlobFetchOptions {
  /** Of the image: each blob notes which repository has it, so that a push to another there need not send it (U-REM.5). */
  readonly name: string;
  readonly sourceHost: (domain: string) => string;
  readonly onProgress?: OnProgress | undefined;
}

interface CallOfFetch extends CallOptions {
  readonly onIngest?: ((ref: string) => void) | undefined;
}

/** Brings blobs of one image into the store. */
export function blobFetch(
  content: Namespace["content"],
  fetcher: Fetcher,
  { name, onProgress, sourceHost }: BlobFetchOptions,
): (descriptor: Descriptor, call: CallOfFetch) => Promise<void> {
  const { domain, path: repository } = parseReference(name);
  const host = sourceHost(domain);
  // With the commit, which costs nothing; what is there already is labelled only if it does not say so yet.
  const labels = { [labelDistributionSourcePrefix + host]: repository };
  return async (descriptor, { onIngest, signal }) => {
    const how = await fetchBlob(descriptor, { content, fetcher, labels, onProgress, onIngest, signal });
    if (how === "exists") await labelDistributionSource(content, descriptor, { host, repository, signal });
  };
}
