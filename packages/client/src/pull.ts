import { blobExists } from "@varve/content";
import { CodedError, hasCode } from "@varve/errors";
import { createSummary, dispatch, manifestFor } from "@varve/images";
import type { ImageInput, ProgressEvent } from "@varve/images";
import type { Namespace } from "@varve/metadata";
import { allPlatforms, formatPlatform, onlyPlatform } from "@varve/oci";
import { formatReference, parseReference } from "@varve/reference";
import type { Fetcher } from "@varve/remotes";
import { createUnpacker } from "@varve/unpack";
import type { BeforeLayers, Unpacker, UnpackResult } from "@varve/unpack";
import type { PullOptions, PullResult } from "./transfers.ts";
import { fetchAndList } from "./fetch.ts";
import { ChainLocks } from "./chain-locks.ts";
import { directoriesFor } from "./directories.ts";
import { mustFit } from "./disk-space.ts";
import { blobFetch } from "./blob-fetch.ts";
import { platformOf, wrongPlatform } from "./platform.ts";
import type { Stack } from "./stack.ts";
import { traced } from "./traces.ts";
import { underLease } from "./under-lease.ts";

const spaceCheck = "a look at the disk's space";

/** Resolve → fetch and unpack at the same time → wait for both → image record (U-TR.3). */
export function pullImage(stack: Stack, reference: string, options: PullOptions = {}): Promise<PullResult> {
  return traced({ phase: "pull", reference }, () => resolveAndPull(stack, reference, options));
}

async function resolveAndPull(stack: Stack, reference: string, asked: PullOptions): Promise<PullResult> {
  const startedAt = performance.now();
  const summary = createSummary();
  const onProgress = (event: ProgressEvent): void => {
    summary.onProgress(event);
    asked.onProgress?.(event);
  };
  const options = { ...asked, onProgress };
  const { signal } = options;
  // Before the registry is asked: they may be malformed or unknown, or not work here.
  platformOf(options.platform);
  if ((options.checkSpace ?? false) !== false) directoriesFor(spaceCheck, stack);
  const snapshotterName = options.snapshotter ?? stack.defaultSnapshotter;
  await stack.opened.get(snapshotterName);
  // An image of which nothing is known yet will need threads: they start while the registry is asked. One that is present needs none.
  const isKnown = await isNamed(stack, reference, signal);
  if (!isKnown) await stack.warmUp();
  const resolver = await stack.resolver.get();
  const { name, descriptor: target } = await traced({ phase: "resolve", reference }, () =>
    resolver.resolve(reference, { signal }),
  );
  onProgress({ type: "resolved", name, target });
  if (!(await blobExists(stack.namespace.content, target.digest))) await stack.warmUp();
  const fetcher = resolver.fetcher(name);
  return underLease(
    stack,
    async (namespace) => {
      const unpacked = await fetchAndUnpack(stack, { name, target }, { namespace, fetcher, options });
      await namespace.images.put({ name, target }, { signal });
      return describe(name, target, unpacked, {
        durationMs: Math.round(performance.now() - startedAt),
        summary: summary.summarize(),
      });
    },
    signal,
  );
}

interface PullContext {
  /** Under the lease of this pull. */
  readonly namespace: Namespace;
  readonly fetcher: Fetcher;
  readonly options: PullOptions;
}

async function fetchAndUnpack(stack: Stack, image: ImageInput, context: PullContext): Promise<UnpackResult> {
  const { namespace, fetcher, options } = context;
  const { signal } = options;
  const matcher = onlyPlatform(platformOf(options.platform));
  const unpacker = await openUnpacker(stack, image.name, context);
  try {
    const fetching = { name: image.name, matcher, onProgress: options.onProgress, sourceHost: stack.sourceHost };
    await dispatch(unpacker.wrap(fetchAndList(namespace, fetcher, fetching)), [image.target], { signal });
    const [unpacked] = await unpacker.wait();
    if (unpacked === undefined) throw await nothingUnpacked(namespace, image, options);
    return unpacked;
  } finally {
    await unpacker.close();
  }
}

/** Why an image that was fetched has nothing to unpack. */
async function nothingUnpacked(
  { content }: Namespace,
  { name, target }: ImageInput,
  options: PullOptions,
): Promise<CodedError> {
  const matcher = onlyPlatform(platformOf(options.platform));
  const { config, platform } = await manifestFor(content, target, matcher, { signal: options.signal });
  if (config === undefined) {
    return new CodedError("ERR_NOT_IMPLEMENTED", `image ${name}: is an artifact, there is nothing to unpack`);
  }
  return wrongPlatform(name, platform, matcher);
}

async function openUnpacker(stack: Stack, name: string, context: PullContext): Promise<Unpacker> {
  const { namespace, fetcher, options } = context;
  const { content } = namespace;
  const { signal, onProgress } = options;
  const snapshotterName = options.snapshotter ?? stack.defaultSnapshotter;
  // An image that comes without an index is taken whatever it is for, unless the caller asked for a platform.
  const matcher = options.platform === undefined ? allPlatforms : onlyPlatform(platformOf(options.platform));
  const snapshotter = await namespace.snapshotter(snapshotterName);
  return createUnpacker({
    platforms: [{ matcher, snapshotterName, snapshotter, applier: await stack.applier.get() }],
    fetch: blobFetch(content, fetcher, { name, onProgress, sourceHost: stack.sourceHost }),
    content,
    beforeLayers: beforeLayers(stack, snapshotterName, context),
    parallel: stack.parallelUnpack,
    followWhileFetching: stack.followWhileFetching,
    fetchLimiter: stack.fetchLimiter,
    unpackLimiter: stack.unpackLimiter,
    locks: stack.locks,
    chainLocks: new ChainLocks(stack.chainLocks, stack.namespace.name),
    signal,
    onProgress,
  });
}

function beforeLayers(
  stack: Stack,
  snapshotterName: string,
  { namespace: { content }, options: { checkSpace = false } }: PullContext,
): BeforeLayers | undefined {
  if (checkSpace === false) return undefined;
  const check = checkSpace === true ? {} : checkSpace;
  const { content: blobs, snapshots } = directoriesFor(spaceCheck, stack);
  const directories = { content: blobs, snapshots: snapshots(snapshotterName) };
  return (layers, { signal }) => mustFit(layers, { content, directories, check, signal });
}

function describe(
  name: string,
  target: PullResult["target"],
  { chainId, layers, platform, snapshotterName }: UnpackResult,
  costs: Pick<PullResult, "durationMs" | "summary">,
): PullResult {
  return {
    name,
    target: { mediaType: target.mediaType, digest: target.digest, size: target.size },
    platform: formatPlatform(platform),
    snapshotter: snapshotterName,
    chainId,
    layers,
    ...costs,
  };
}

/** Whether there is an image of this name, whatever it leads to. */
async function isNamed({ namespace }: Stack, reference: string, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await namespace.images.get(formatReference(parseReference(reference)), { signal });
    return true;
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return false;
    throw error;
  }
}
