import type { CallOptions } from "@varve/content";
import { dispatch, walk } from "@varve/images";
import type { Handler, OnProgress } from "@varve/images";
import { isForeignLayerType, isIndexType, isManifestType } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { sentBytes } from "./sent-bytes.ts";
import type { Pusher, PushOptions } from "./resolver.ts";

/** How many blobs and manifests the other side had, took from another repository, or was sent; and the bytes of the latter. */
export interface PushCounts {
  readonly existed: number;
  readonly mounted: number;
  readonly sent: number;
  readonly sentBytes: number;
}

export interface SendImageOptions extends CallOptions {
  readonly pusher: Pusher;
  /** The bytes of a descriptor from an offset on. */
  readonly bytes: (descriptor: Descriptor, offset: number, signal: AbortSignal) => AsyncIterable<Uint8Array>;
  readonly mountFrom?: ((blob: Descriptor) => Promise<readonly string[]>) | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly nonDistributable?: boolean | undefined;
  readonly concurrency?: number | undefined;
  readonly onProgress?: OnProgress | undefined;
}

/** What an image is made of, each thing once. */
export interface Collected {
  readonly blobs: readonly Descriptor[];
  /** Each after everything it names. */
  readonly manifests: readonly Descriptor[];
}

export async function collect(target: Descriptor, children: Handler, { signal }: CallOptions): Promise<Collected> {
  const blobs = new Map<string, Descriptor>();
  const manifests = new Map<string, Descriptor>();
  const record: Handler = async (descriptor, context) => {
    const group = isManifest(descriptor) ? manifests : blobs;
    // Found again deeper down, it must go before both that name it: the last finding counts.
    group.delete(descriptor.digest);
    group.set(descriptor.digest, descriptor);
    return children(descriptor, context);
  };
  await walk(record, [target], { signal });
  return { blobs: [...blobs.values()], manifests: [...manifests.values()].toReversed() };
}

/**
 * Sends an image from anywhere: all blobs first, several at once, then manifests one by one, each after what it names, the
 * target last and under its tags.
 */
export async function sendImage(
  target: Descriptor,
  { blobs, manifests }: Collected,
  options: SendImageOptions,
): Promise<PushCounts> {
  const { concurrency, signal } = options;
  const counts = { existed: 0, mounted: 0, sent: 0, sentBytes: 0 };
  const send: Handler = async (descriptor, context) => {
    const outcome = await sendOne(descriptor, descriptor.digest === target.digest, context.signal, options);
    if (outcome === "exists") counts.existed += 1;
    else counts[outcome] += 1;
    if (outcome === "sent") counts.sentBytes += descriptor.size;
    return [];
  };
  const sendable =
    options.nonDistributable === true ? blobs : blobs.filter((blob) => !isForeignLayerType(blob.mediaType));
  await dispatch(send, sendable, { concurrency, signal });
  await dispatch(send, manifests, { concurrency: 1, signal });
  return counts;
}

async function sendOne(
  descriptor: Descriptor,
  isTarget: boolean,
  signal: AbortSignal,
  options: SendImageOptions,
): ReturnType<Pusher["push"]> {
  const { onProgress, pusher } = options;
  const body: PushOptions["body"] = (offset) => options.bytes(descriptor, offset, signal);
  const how = await pusher.push(descriptor, {
    body: onProgress === undefined ? body : sentBytes(descriptor, body, onProgress),
    tags: isTarget ? options.tags : undefined,
    mountFrom: isManifest(descriptor) ? undefined : await options.mountFrom?.(descriptor),
    signal,
  });
  onProgress?.({ type: "pushed", descriptor, how });
  return how;
}

function isManifest({ mediaType }: Descriptor): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType);
}

export function addCounts(a: PushCounts, b: PushCounts): PushCounts {
  return {
    existed: a.existed + b.existed,
    mounted: a.mounted + b.mounted,
    sent: a.sent + b.sent,
    sentBytes: a.sentBytes + b.sentBytes,
  };
}
