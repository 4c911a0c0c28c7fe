import { blobExists } from "@varve/content";
import { CodedError } from "@varve/errors";
import { childrenHandler, dispatch, limitManifests, manifestFor } from "@varve/images";
import type { Handler, ImageInput } from "@varve/images";
import { allPlatforms, formatPlatform, onlyPlatform } from "@varve/oci";
import type { PlatformMatcher } from "@varve/oci";
import { fetchBlob, fetchHandler, labelChildrenHandler } from "@varve/remotes";
import type { Fetcher } from "@varve/remotes";
import type { Snapshotter } from "@varve/snapshots";
import { createUnpacker } from "@varve/unpack";
import type { Unpacker, UnpackResult } from "@varve/unpack";
import type { PullOptions, PullResult } from "./client.ts";
import { platformOf } from "./platform.ts";
import type { Stack } from "./stack.ts";

/** Resolve → fetch and unpack at the same time → wait for both → image record (U-TR.3). */
export async function pullImage(stack: Stack, reference: string, options: PullOptions = {}): Promise<PullResult> {
  const startedAt = performance.now();
  const { signal, onProgress } = options;
  const matcher = onlyPlatform(platformOf(options.platform));
  // Before the registry is asked: it may be unknown, or not work here.
  const snapshotter = await stack.snapshotters.get(options.snapshotter ?? stack.defaultSnapshotter);
  const resolver = await stack.resolver.get();
  const { name, descriptor: target } = await resolver.resolve(reference, { signal });
  onProgress?.({ type: "resolved", name, target });
  // Threads start while manifest and config are fetched; an image that is present needs none.
  if (!(await blobExists(stack.metadata.content, target.digest))) (await stack.differ.get()).warmUp();
  const fetcher = resolver.fetcher(name);
  const unpacker = await openUnpacker(stack, fetcher, snapshotter, options);
  try {
    await dispatch(unpacker.wrap(pullHandler(stack, fetcher, matcher, options)), [target], { signal });
    const [unpacked] = await unpacker.wait();
    if (unpacked === undefined) throw await nothingUnpacked(stack, { name, target }, matcher, signal);
    await stack.metadata.images.put({ name, target }, { signal });
    return describe(name, target, unpacked, performance.now() - startedAt);
  } finally {
    await unpacker.close();
  }
}

/** Why an image that was fetched has nothing to unpack. */
async function nothingUnpacked(
  stack: Stack,
  { name, target }: ImageInput,
  matcher: PlatformMatcher,
  signal: AbortSignal | undefined,
): Promise<CodedError> {
  const { config, platform } = await manifestFor(stack.metadata.content, target, matcher, { signal });
  if (config === undefined) {
    return new CodedError("ERR_NOT_IMPLEMENTED", `image ${name}: is an artifact, there is nothing to unpack`);
  }
  const is = platform === undefined ? "no platform" : formatPlatform(platform);
  return new CodedError("ERR_NOT_FOUND", `image ${name}: is for ${is}, not for ${matcher.description}`);
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

async function openUnpacker(
  stack: Stack,
  fetcher: Fetcher,
  snapshotter: Snapshotter,
  options: PullOptions,
): Promise<Unpacker> {
  const { content } = stack.metadata;
  const { signal, onProgress } = options;
  const snapshotterName = options.snapshotter ?? stack.defaultSnapshotter;
  // An image that comes without an index is taken whatever it is for, unless the caller asked for a platform.
  const matcher = options.platform === undefined ? allPlatforms : onlyPlatform(platformOf(options.platform));
  return createUnpacker({
    platforms: [{ matcher, snapshotterName, snapshotter, applier: await stack.differ.get() }],
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
