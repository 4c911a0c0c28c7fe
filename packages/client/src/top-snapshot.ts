import { chainId } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import { manifestFor } from "@varve/images";
import type { ImageManifest, ImageRecord } from "@varve/images";
import { formatPlatform, onlyPlatform } from "@varve/oci";
import { formatReference, parseReference } from "@varve/reference";
import type { MountOptions } from "./client.ts";
import { platformOf } from "./platform.ts";
import type { Stack } from "./stack.ts";

/** The snapshot that holds a pulled image; none for an image without layers. */
export async function topSnapshot(
  stack: Stack,
  reference: string,
  options: MountOptions & { readonly snapshotter: string },
): Promise<string | undefined> {
  const { signal, snapshotter: name } = options;
  const image = await stack.namespace.images.get(formatReference(parseReference(reference)), { signal });
  const { config } = await storedManifest(stack, image, options);
  if (config === undefined) {
    throw new CodedError("ERR_NOT_IMPLEMENTED", `image ${image.name}: is an artifact, there is nothing to mount`);
  }
  const top = chainId(config.rootfs.diff_ids);
  if (top === "") return undefined;
  try {
    const snapshotter = await stack.opened.get(name);
    await snapshotter.stat(top, { signal });
    return top;
  } catch (error) {
    if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
    const message = `image ${image.name}: not unpacked by snapshotter ${name}, pull it first`;
    throw new CodedError("ERR_NOT_FOUND", message, { cause: error });
  }
}

async function storedManifest(stack: Stack, image: ImageRecord, options: MountOptions): Promise<ImageManifest> {
  const platform = platformOf(options.platform);
  try {
    return await manifestFor(stack.namespace.content, image.target, onlyPlatform(platform), { signal: options.signal });
  } catch (error) {
    if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
    const message = `image ${image.name}: not stored for platform ${formatPlatform(platform)}, pull it first`;
    throw new CodedError("ERR_NOT_FOUND", message, { cause: error });
  }
}
