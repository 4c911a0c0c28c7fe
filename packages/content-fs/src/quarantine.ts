import { randomBytes } from "node:crypto";
import { lstatSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { QuarantinedBlob } from "@varve/content";
import { digestAlgorithm, digestHex, isDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Syncer } from "./durability.ts";
import { isErrno } from "./errno.ts";
import { blobPath } from "./layout.ts";
import type { Layout } from "./layout.ts";
import { makeDirectory } from "./make-directory.ts";
import { namesIn } from "./names-in.ts";
import { removeAll } from "./remove-all.ts";

// An id is `<algorithm>-<hex>.<milliseconds>.<random>`: it says all there is to know, so nothing is kept beside the bytes.
const idForm = /^([a-z0-9]+)-([0-9a-f]+)\.([0-9]{1,15})\.[0-9a-f]{8}$/;

/**
 * Moves whatever stands in the place of a blob away in one step, and never follows it.
 *
 * @throws ERR_NOT_FOUND nothing stands there
 */
export function moveToQuarantine(layout: Layout, digest: Digest): { id: string; madeDirectory: boolean } {
  const path = blobPath(layout, digest);
  const random = randomBytes(4).toString("hex");
  const id = `${digestAlgorithm(digest)}-${digestHex(digest)}.${Date.now()}.${random}`;
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) throw notFound(digest);
  const madeDirectory = makeDirectory(layout.quarantine, 0o700);
  try {
    renameSync(path, join(layout.quarantine, id));
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
    throw notFound(digest, error);
  }
  return { id, madeDirectory };
}

/** Takes a blob away for good: it does not come back after a power cut. */
export async function quarantineBlob(layout: Layout, syncer: Syncer, digest: Digest): Promise<QuarantinedBlob> {
  const { id, madeDirectory } = moveToQuarantine(layout, digest);
  // The new name first: should only one of the two last, the bytes are kept.
  await syncer.directory(layout.quarantine);
  if (madeDirectory) await syncer.directory(layout.root);
  await syncer.directory(join(layout.blobs, digestAlgorithm(digest)));
  return look(layout, id) ?? { id, digest, size: 0, quarantinedAt: new Date() };
}

export async function* listQuarantined(layout: Layout): AsyncGenerator<QuarantinedBlob, void, undefined> {
  for await (const names of namesIn(layout.quarantine)) {
    for (const name of names) {
      const found = look(layout, name);
      if (found !== undefined) yield found;
    }
  }
}

/** Frees what was taken away. @throws ERR_NOT_FOUND no such thing */
export async function discardQuarantined(layout: Layout, id: string): Promise<void> {
  if (look(layout, id) === undefined) throw new CodedError("ERR_NOT_FOUND", `quarantine ${id}: not found`);
  await removeAll([join(layout.quarantine, id)]);
}

function look(layout: Layout, id: string): QuarantinedBlob | undefined {
  const [, algorithm, hex, time] = idForm.exec(id) ?? [];
  const digest = `${algorithm}:${hex}`;
  if (!isDigest(digest)) return undefined;
  const found = lstatSync(join(layout.quarantine, id), { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  return { id, digest, size: found.isFile() ? found.size : 0, quarantinedAt: new Date(Number(time)) };
}

function notFound(digest: Digest, cause?: unknown): CodedError {
  return new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`, { cause });
}
