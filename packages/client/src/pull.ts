import { CodedError } from "@varve/errors";
import { childrenHandler, dispatch, limitManifests } from "@varve/images";
import type { Handler } from "@varve/images";
import { allPlatforms, defaultPlatform, formatPlatform, normalizePlatform, onlyPlatform, parsePlatform } from "@varve/oci";
import type { Platform, PlatformMatcher } from "@varve/oci";
import { fetchBlob, fetchHandler, labelChildrenHandler } from "@varve/remotes";
import type { Fetcher } from "@varve/remotes";
import { createUnpacker } from "@varve/unpack";
import type { Unpacker, UnpackResult } from "@varve/unpack";
import type { PullOptions, PullResult } from "./client.ts";
import type { Stack } from "./stack.ts";

/** Resolve → fetch and unpack at the same time → wait for both → image record (U-TR.3). */
export async function pullImage(stack: Stack, reference: string, options: PullOptions = {}): Promise<PullResult> {
  const startedAt = performance.now();
  const { signal, onProgress } = options;
  const wanted = platformOf(options.platform);
  const { name, descriptor: target } = await stack.resolver.resolve(reference, { signal });
  onProgress?.({ type: "resolved", name, target });
  const fetcher = stack.resolver.fetcher(name);
  const unpacker = await openUnpacker(stack, fetcher, options);
  try {
    const fetchAndList = pullHandler(stack, fetcher, onlyPlatform(wanted), options);
    await dispatch(unpacker.wrap(fetchAndList), [target], { signal });
    const [unpacked] = await unpacker.wait();
    if (unpacked === undefined) {
      throw new CodedError("ERR_NOT_FOUND", `image ${name}: nothing to unpack for platform ${formatPlatform(wanted)}`);
    }
    await stack.metadata.images.put({ name, target }, { signal });
    return describe(name, target, unpacked, performance.now() - startedAt);
  } finally {
    await unpacker.close();
  }
}

/** The platform a caller asks for, or this machine's. */
export function platformOf(asked: string | Platform | undefined): Platform {
  if (asked === undefined) return defaultPlatform();
  return typeof asked === "string" ? parsePlatform(asked) : normalizePlatform(asked);
}

/** Fetches a descriptor, then lists its children; of an index only the best manifest. */
function pullHandler(stack: Stack, fetcher: Fetcher, matcher: PlatformMatcher, options: PullOptions): Handler {
  const { content } = stack.metadata;
  const fetch = fetchHandler({ content, fetcher, onProgress: options.onProgress });
  // Labels go on before the choice of a platform: they keep what a later pull of another platform adds.
  const labelled = labelChildrenHandler(content, childrenHandler(content));
  const chosen = limitManifests(labelled, { matcher, limit: 1 });
  return async (descriptor, context) => {
    await fetch(descriptor, context);
    return chosen(descriptor, context);
  };
}

async function openUnpacker(stack: Stack, fetcher: Fetcher, options: PullOptions): Promise<Unpacker> {
  const { content } = stack.metadata;
  const snapshotterName = options.snapshotter ?? stack.defaultSnapshotter;
  const { signal, onProgress } = options;
  // An image that comes without an index is taken whatever it is for, unless the caller asked for a platform.
  const matcher: PlatformMatcher = options.platform === undefined ? allPlatforms : onlyPlatform(platformOf(options.platform));
  return createUnpacker({
    platforms: [
      { matcher, snapshotterName, snapshotter: await stack.snapshotters.get(snapshotterName), applier: stack.differ },
    ],
    fetch: async (layer, { signal: stop, onIngest }) => {
      await fetchBlob(layer, { content, fetcher, signal: stop, onProgress, onIngest });
    },
    content,
    parallel: stack.parallelUnpack,
    fetchLimiter: stack.fetchLimiter,
    unpackLimiter: stack.unpackLimiter,
    locks: stack.locks,
    signal,
    onProgress,
  });
}

function describe(
  name: string,
  target: PullResult["target"],
  { chainId, layers, platform, snapshotterName }: UnpackResult,
  durationMs: number,
): PullResult {
  return {
    name,
    target: { mediaType: target.mediaType, digest: target.digest, size: target.size },
    platform: formatPlatform(platform),
    snapshotter: snapshotterName,
    chainId,
    layers,
    durationMs: Math.round(durationMs),
  };
}
