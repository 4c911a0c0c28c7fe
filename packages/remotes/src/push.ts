import type { CallOptions, Provider } from "@varve/content";
import { dispatch, walk } from "@varve/images";
import type { Handler } from "@varve/images";
import { isForeignLayerType, isIndexType, isManifestType } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { Pusher } from "./resolver.ts";

export interface PushBlobOptions extends CallOptions {
  readonly provider: Provider;
  readonly pusher: Pusher;
  /** For manifests: the tag or digest to put it under. Default: its digest. */
  readonly reference?: string | undefined;
}

/**
 * Sends one blob or manifest from a store, unless the other side has it (S3.14).
 *
 * @returns whether bytes were sent
 */
export async function pushBlob(descriptor: Descriptor, options: PushBlobOptions): Promise<boolean> {
  const { provider, pusher, reference, signal } = options;
  return pusher.push(descriptor, { body: () => blobBytes(provider, descriptor, signal), reference, signal });
}

/** A handler that sends each descriptor's blob, and names no children. */
export function pushHandler(options: Omit<PushBlobOptions, "signal" | "reference">): Handler {
  return async (descriptor, { signal }) => {
    await pushBlob(descriptor, { ...options, signal });
    return [];
  };
}

export interface PushImageOptions extends PushBlobOptions {
  /** Names what is below a descriptor, and leaves out what is not to be sent. */
  readonly children: Handler;
  /** Whether layers that registries may not hold (foreign layers) are sent as well. Default: false (U-REM.4). */
  readonly nonDistributable?: boolean | undefined;
  /** Blobs sent at the same time. Default: 3. */
  readonly concurrency?: number | undefined;
  /** Told of each descriptor when the other side has it. It must not throw. */
  readonly onPushed?: ((descriptor: Descriptor, sent: boolean) => void) | undefined;
}

/**
 * Sends an image: all blobs first, several at once, then manifests and indexes one by one, each after what it names, the
 * target last and under `reference`; so the other side never shows an image that is not whole (U-REM.3).
 */
export async function pushImage(target: Descriptor, options: PushImageOptions): Promise<void> {
  const { children, concurrency, onPushed, provider, pusher, reference, signal } = options;
  const { blobs, manifests } = await collect(target, children, signal);
  const sendable =
    options.nonDistributable === true ? blobs : blobs.filter((blob) => !isForeignLayerType(blob.mediaType));
  const push: Handler = async (descriptor, context) => {
    const under = descriptor.digest === target.digest ? reference : undefined;
    const sent = await pushBlob(descriptor, { provider, pusher, reference: under, signal: context.signal });
    onPushed?.(descriptor, sent);
    return [];
  };
  await dispatch(push, sendable, { concurrency, signal });
  await dispatch(push, manifests, { concurrency: 1, signal });
}

interface Collected {
  readonly blobs: readonly Descriptor[];
  /** Each after everything it names. */
  readonly manifests: readonly Descriptor[];
}

async function collect(target: Descriptor, children: Handler, signal: AbortSignal | undefined): Promise<Collected> {
  const blobs = new Map<string, Descriptor>();
  const manifests = new Map<string, Descriptor>();
  const record: Handler = async (descriptor, context) => {
    const isManifest = isManifestType(descriptor.mediaType) || isIndexType(descriptor.mediaType);
    const group = isManifest ? manifests : blobs;
    // Found again deeper down, it must go before both that name it: the last finding counts.
    group.delete(descriptor.digest);
    group.set(descriptor.digest, descriptor);
    return children(descriptor, context);
  };
  await walk(record, [target], { signal });
  return { blobs: [...blobs.values()], manifests: [...manifests.values()].toReversed() };
}

async function* blobBytes(
  provider: Provider,
  descriptor: Descriptor,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = await provider.open(descriptor, { signal });
  try {
    yield* reader.stream({ signal });
  } finally {
    await reader.close();
  }
}
