import type { CallOptions } from "@varve/content";
import { CodedError, hasCode } from "@varve/errors";
import type { ImageRecord, ImageStore } from "@varve/images";
import { formatReference, parseReference } from "@varve/reference";

/** What an image may be called in the store: as it was typed, then as docker would read it. */
export function imageNames(text: string): readonly string[] {
  const normalised = normalise(text);
  return normalised === undefined || normalised === text ? [text] : [text, normalised];
}

/**
 * The image that somebody means. The very name comes first: lists print it, and records need not be normalised.
 *
 * @throws ERR_NOT_FOUND no such image
 */
export async function findImage(
  images: Pick<ImageStore, "get">,
  text: string,
  options: CallOptions = {},
): Promise<ImageRecord> {
  const names = imageNames(text);
  for (const name of names) {
    try {
      return await images.get(name, options);
    } catch (error) {
      if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
    }
  }
  throw new CodedError("ERR_NOT_FOUND", `image ${names.at(-1)}: not found`);
}

function normalise(text: string): string | undefined {
  try {
    return formatReference(parseReference(text));
  } catch (error) {
    if (hasCode(error, "ERR_INVALID_ARGUMENT") || hasCode(error, "ERR_NOT_IMPLEMENTED")) return undefined;
    throw error;
  }
}
