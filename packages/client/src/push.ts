import { blobExists } from "@varve/content";
import type { Manager, Provider } from "@varve/content";
import { CodedError } from "@varve/errors";
import { childrenHandler, manifestFor } from "@varve/images";
import type { Handler, ImageRecord } from "@varve/images";
import { formatPlatform, isIndexType, onlyPlatform } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { formatReference, parseReference } from "@varve/reference";
import type { Reference } from "@varve/reference";
import { mountSources, pushImage } from "@varve/remotes";
import type { PushOptions, PushResult } from "./transfers.ts";
import { platformOf, wrongPlatform } from "./platform.ts";
import type { Stack } from "./stack.ts";
import { underLease } from "./under-lease.ts";

/** Image record → blobs → manifests → tags, under a lease: what is being sent is not collected. */
export async function pushStoredImage(stack: Stack, name: string, options: PushOptions = {}): Promise<PushResult> {
  const startedAt = performance.now();
  const { nonDistributable, onProgress, signal } = options;
  const destination = destinationOf(options.to ?? name);
  const { domain, path } = destination;
  const tags = [destination.tag, ...(options.tags ?? [])].filter((tag) => tag !== undefined);
  const resolver = await stack.resolver.get();
  return underLease(
    stack,
    async ({ content, images }) => {
      const image = await images.get(formatReference(parseReference(name)), { signal });
      const target = await chosen(content, image, options);
      const counts = await pushImage(target, {
        provider: content,
        pusher: resolver.pusher(formatReference(destination)),
        children: storedChildren(content, name),
        mountFrom: (blob) => mountSources(content, blob, { host: stack.sourceHost(domain), repository: path, signal }),
        tags: [...new Set(tags)],
        nonDistributable,
        onProgress,
        signal,
      });
      const { digest, mediaType, size } = target;
      return {
        name: formatReference(destination),
        target: { mediaType, digest, size },
        ...counts,
        durationMs: Math.round(performance.now() - startedAt),
      };
    },
    signal,
  );
}

/** What is sent: all that the name stands for, or the one image of it for a platform. */
async function chosen(
  provider: Provider,
  { name, target }: Pick<ImageRecord, "name" | "target">,
  { platform: wanted, signal }: PushOptions,
): Promise<Descriptor> {
  if (wanted === undefined || wanted === "all") return target;
  const matcher = onlyPlatform(platformOf(wanted));
  const { descriptor, platform } = await manifestFor(provider, target, matcher, { signal });
  const isOther = !isIndexType(target.mediaType) && platform !== undefined && !matcher.matches(platform);
  if (isOther) throw wrongPlatform(name, platform, matcher);
  return descriptor;
}

/** Children that are all there. After a pull of one platform the index is stored, but not what it has for others. */
function storedChildren(content: Manager & Provider, name: string): Handler {
  const children = childrenHandler(content);
  return async (descriptor, context) => {
    const found = await children(descriptor, context);
    if (!isIndexType(descriptor.mediaType)) return found;
    for (const { digest, platform } of found) {
      if (await blobExists(content, digest, context)) continue;
      const which = platform === undefined ? digest : `${digest} (${formatPlatform(platform)})`;
      const advice = "push one platform, or fetch all of them first";
      throw new CodedError("ERR_NOT_FOUND", `image ${name}: manifest ${which}: not stored: ${advice}`);
    }
    return found;
  };
}

/** A digest in a destination would be a promise that only the image can keep. */
function destinationOf(text: string): Reference {
  const reference = parseReference(text);
  if (reference.digest === undefined || reference.tag !== undefined) return reference;
  throw new CodedError("ERR_INVALID_ARGUMENT", `reference ${text}: to push, name a tag`);
}
