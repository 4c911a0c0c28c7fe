import { stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { blobExists } from "@varve/content";
import type { IngestManager, Manager } from "@varve/content";
import { CodedError, hasCode } from "@varve/errors";
import { layerCompression } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { refKey } from "@varve/remotes";
import type { SpaceCheck } from "./transfers.ts";

export interface MustFitOptions {
  readonly content: IngestManager & Manager;
  readonly directories: { readonly content: string; readonly snapshots: string };
  readonly check: SpaceCheck;
  readonly signal: AbortSignal;
}

/** gzip and zstd make about a third of what is in images. */
const usualRatio = 3;

/**
 * Whether the disks have room for layers: for the bytes of their blobs that are not stored yet, and for their files, which is an
 * estimate. What else is written meanwhile, quotas, and the copies that a snapshotter makes of lower layers are left out.
 *
 * @throws ERR_RESOURCE_EXHAUSTED with the bytes that are needed and those that are free (G-52)
 * @throws ERR_INVALID_ARGUMENT ratio or reserve is no number from 0 on
 */
export async function mustFit(layers: readonly Descriptor[], options: MustFitOptions): Promise<void> {
  const { check, directories } = options;
  const { ratio = usualRatio, reserve = 0 } = check;
  for (const [name, value] of Object.entries({ ratio, reserve })) {
    if (!(value >= 0))
      throw new CodedError("ERR_INVALID_ARGUMENT", `space check: ${name} ${value}: not a number from 0 on`);
  }
  const blobs = await missingBytes(layers, options);
  const files = layers.reduce(
    (sum, layer) => sum + layer.size * (layerCompression(layer.mediaType) === "none" ? 1 : ratio),
    0,
  );
  const snapshots = await existing(directories.snapshots);
  const [contentDisk, snapshotDisk] = await Promise.all([stat(directories.content), stat(snapshots)]);
  if (contentDisk.dev === snapshotDisk.dev) return mustHave(directories.content, blobs + files, reserve);
  await mustHave(directories.content, blobs, reserve);
  await mustHave(snapshots, files, reserve);
}

/** The directory, or the nearest above it that is there: not every snapshotter makes its own. */
async function existing(path: string): Promise<string> {
  try {
    await stat(path);
    return path;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT" && dirname(path) !== path) {
      return existing(dirname(path));
    }
    throw error;
  }
}

async function mustHave(directory: string, needed: number, reserve: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (needed + reserve <= free) return;
  const left = reserve === 0 ? "" : ` and ${reserve} bytes are to stay free`;
  throw new CodedError(
    "ERR_RESOURCE_EXHAUSTED",
    `disk of ${directory}: the image needs about ${Math.ceil(needed)} bytes${left}, but ${free} bytes are free`,
  );
}

/** Of the blobs, a digest that occurs twice counted once, and what an earlier pull has left of them taken off. */
async function missingBytes(layers: readonly Descriptor[], { content, signal }: MustFitOptions): Promise<number> {
  let bytes = 0;
  for (const layer of new Map(layers.map((one) => [one.digest, one])).values()) {
    if (await blobExists(content, layer.digest, { signal })) continue;
    bytes += layer.size - Math.min(layer.size, await bytesBegun(layer, content, signal));
  }
  return bytes;
}

async function bytesBegun(layer: Descriptor, content: IngestManager, signal: AbortSignal): Promise<number> {
  try {
    return (await content.status(refKey(layer), { signal })).offset;
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return 0;
    throw error;
  }
}
