import type { Client } from "@varve/client";
import { CodedError, hasCode } from "@varve/errors";
import { checkImage } from "@varve/images";
import type { ImageRecord } from "@varve/images";
import type { Descriptor, PlatformMatcher } from "@varve/oci";
import { formatBytes, formatCount, formatTable } from "../format.ts";
import { withClient } from "../globals.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { findImage } from "./find-image.ts";
import { imageDetail } from "./image-detail.ts";
import { platformMatcher } from "./platform-option.ts";

/** Whether one image is stored, for one platform. */
interface Checked {
  readonly name: string;
  /** `unavailable`: not even its manifest and config are there for this platform, so nobody knows what it needs. */
  readonly status: "complete" | "incomplete" | "unavailable";
  readonly required: number;
  readonly present: number;
  /** Bytes of what is present. */
  readonly size: number;
  readonly missing: readonly Pick<Descriptor, "mediaType" | "digest" | "size">[];
  /** Snapshotters that hold the whole image. */
  readonly unpacked: readonly string[];
}

/** Looks whether all blobs of images are there (U-IMG.8); `varve check` also looks into them. */
export async function checkImages(references: readonly string[], { options, signal }: CommandRun): Promise<void> {
  const matcher = platformMatcher(options.platform);
  const images = await withClient(options, async (client) => {
    const checked: Checked[] = [];
    for (const image of await recordsOf(client, references, signal)) {
      checked.push(await checkOne(client, image, { matcher, signal }));
    }
    return checked;
  });
  await printResult(options.json, { images }, () =>
    formatTable([
      ["NAME", "STATUS", "BLOBS", "SIZE", "UNPACKED"],
      ...images.map(({ name, present, required, size, status, unpacked }) => [
        name,
        status,
        status === "unavailable" ? "-" : `${present}/${required}`,
        formatBytes(size),
        unpacked.join(",") || "-",
      ]),
    ]),
  );
  const short = images.filter(({ status }) => status !== "complete");
  if (short.length === 0) return;
  const names = short.map(({ name }) => name).join(", ");
  throw new CodedError(
    "ERR_DATA_LOSS",
    `${formatCount(short.length, "image")} not complete for ${matcher.description}, pull again: ${names}`,
  );
}

async function recordsOf(
  { images }: Client,
  references: readonly string[],
  signal: AbortSignal,
): Promise<readonly ImageRecord[]> {
  if (references.length === 0) return Array.fromAsync(images.list({ signal }));
  return Promise.all(references.map((reference) => findImage(images, reference, { signal })));
}

async function checkOne(
  client: Client,
  image: ImageRecord,
  options: { readonly matcher: PlatformMatcher; readonly signal: AbortSignal },
): Promise<Checked> {
  const { matcher, signal } = options;
  const { available, missing, present, required } = await checkImage(client.content, image.target, matcher, { signal });
  return {
    name: image.name,
    status: available ? (missing.length === 0 ? "complete" : "incomplete") : "unavailable",
    required: required.length,
    present: present.length,
    size: present.reduce((sum, { size }) => sum + size, 0),
    missing: missing.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
    unpacked: available ? await unpackedBy(client, image, options) : [],
  };
}

async function unpackedBy(
  client: Client,
  image: ImageRecord,
  options: { readonly matcher: PlatformMatcher; readonly signal: AbortSignal },
): Promise<readonly string[]> {
  try {
    return Object.keys((await imageDetail(client, image, options)).snapshots);
  } catch (error) {
    // Removed meanwhile.
    if (hasCode(error, "ERR_NOT_FOUND")) return [];
    throw error;
  }
}
