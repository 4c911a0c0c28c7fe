import { childrenHandler, dispatch, limitManifests } from "@varve/images";
import type { Handler, OnProgress } from "@varve/images";
import { onlyPlatform } from "@varve/oci";
import type { PlatformMatcher } from "@varve/oci";
import { labelChildrenHandler } from "@varve/remotes";
import type { Fetcher } from "@varve/remotes";
import type { Namespace } from "@varve/metadata";
import type { FetchOptions, FetchResult } from "./transfers.ts";
import { blobFetch } from "./blob-fetch.ts";
import { platformOf } from "./platform.ts";
import type { Stack } from "./stack.ts";
import { underLease } from "./under-lease.ts";

/** Resolve → fetch → image record. */
export async function fetchImage(stack: Stack, reference: string, options: FetchOptions = {}): Promise<FetchResult> {
  const { signal, onProgress } = options;
  const startedAt = performance.now();
  // Before the registry is asked.
  const matcher = options.platform === "all" ? undefined : onlyPlatform(platformOf(options.platform));
  const resolver = await stack.resolver.get();
  const { name, descriptor: target } = await resolver.resolve(reference, { signal });
  onProgress?.({ type: "resolved", name, target });
  const fetcher = resolver.fetcher(name);
  return underLease(
    stack,
    async (namespace) => {
      const sizes = new Map<string, number>();
      const handler = fetchAndList(namespace, fetcher, { name, matcher, onProgress, sourceHost: stack.sourceHost });
      const counting: Handler = async (descriptor, context) => {
        const children = await handler(descriptor, context);
        sizes.set(descriptor.digest, descriptor.size);
        return children;
      };
      await dispatch(counting, [target], { limiter: stack.fetchLimiter, signal });
      await namespace.images.put({ name, target }, { signal });
      return {
        name,
        target: { mediaType: target.mediaType, digest: target.digest, size: target.size },
        blobs: sizes.size,
        bytes: [...sizes.values()].reduce((sum, size) => sum + size, 0),
        durationMs: Math.round(performance.now() - startedAt),
      };
    },
    signal,
  );
}

export interface FetchAndListOptions {
  /** Of the image: each blob notes where it is from, so that a push there need not send it (U-REM.5). */
  readonly name: string;
  readonly sourceHost: (domain: string) => string;
  /** Of an index only the best manifest is followed. `undefined`: all are. */
  readonly matcher: PlatformMatcher | undefined;
  readonly onProgress?: OnProgress | undefined;
}

/** Fetches a descriptor, then lists its children. */
export function fetchAndList(namespace: Namespace, fetcher: Fetcher, options: FetchAndListOptions): Handler {
  const { content } = namespace;
  const { name, matcher, onProgress, sourceHost } = options;
  const fetch = blobFetch(content, fetcher, { name, onProgress, sourceHost });
  // Labels go on before the choice of a platform: they keep what a later pull of another platform adds.
  const labelled = labelChildrenHandler(content, childrenHandler(content));
  const chosen = matcher === undefined ? labelled : limitManifests(labelled, { matcher, limit: 1 });
  return async (descriptor, context) => {
    await fetch(descriptor, context);
    return chosen(descriptor, context);
  };
}
