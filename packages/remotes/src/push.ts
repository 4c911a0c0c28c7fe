import { openBlob } from "@varve/content";
import type { CallOptions, Provider } from "@varve/content";
import type { Handler, OnProgress } from "@varve/images";
import type { Descriptor } from "@varve/oci";
import { collect, sendImage } from "./send-image.ts";
import type { PushCounts } from "./send-image.ts";
import type { Pusher, PushOutcome } from "./resolver.ts";

export interface PushBlobOptions extends CallOptions {
  readonly provider: Provider;
  readonly pusher: Pusher;
  /** For manifests: the tags to put it under. Default: none, it is put under its digest. */
  readonly tags?: readonly string[] | undefined;
}

/** Sends one blob or manifest from a store, unless the other side has it (S3.14). */
export async function pushBlob(descriptor: Descriptor, options: PushBlobOptions): Promise<PushOutcome> {
  const { provider, pusher, tags, signal } = options;
  return pusher.push(descriptor, { body: (offset) => storedBytes(provider, descriptor, offset, signal), tags, signal });
}

/** A handler that sends each descriptor's blob, and names no children. */
export function pushHandler(options: Omit<PushBlobOptions, "signal" | "tags">): Handler {
  return async (descriptor, { signal }) => {
    await pushBlob(descriptor, { ...options, signal });
    return [];
  };
}

export interface PushImageOptions extends PushBlobOptions {
  /** Names what is below a descriptor, and leaves out what is not to be sent. */
  readonly children: Handler;
  /** Other repositories of the same registry that may have a blob, the likeliest first: `mountSources`. Default: none. */
  readonly mountFrom?: ((blob: Descriptor) => Promise<readonly string[]>) | undefined;
  /** Whether layers that registries may not hold (foreign layers) are sent as well. Default: false (U-REM.4). */
  readonly nonDistributable?: boolean | undefined;
  /** Blobs sent at the same time. Default: 3. */
  readonly concurrency?: number | undefined;
  /** Told of `pushing`, `resumed` and `retry`, and of `pushed` once for each blob and manifest. It must not throw. */
  readonly onProgress?: OnProgress | undefined;
}

/**
 * Sends an image: all blobs first, several at once, then manifests and indexes one by one, each after what it names, the
 * target last and under its tags; so the other side never shows an image that is not whole (U-REM.3). What the other side has
 * is not sent, so that a push that was broken off, or killed, goes on with the next call.
 */
export async function pushImage(target: Descriptor, options: PushImageOptions): Promise<PushCounts> {
  const { children, provider, signal } = options;
  const collected = await collect(target, children, { signal });
  const { concurrency, mountFrom, nonDistributable, onProgress, pusher, tags } = options;
  return sendImage(target, collected, {
    bytes: (descriptor, offset, own) => storedBytes(provider, descriptor, offset, own),
    concurrency,
    mountFrom,
    nonDistributable,
    onProgress,
    pusher,
    signal,
    tags,
  });
}

async function* storedBytes(
  provider: Provider,
  descriptor: Descriptor,
  offset: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = await openBlob(provider, descriptor, { signal });
  try {
    yield* reader.stream({ start: offset, signal });
  } finally {
    await reader.close();
  }
}
