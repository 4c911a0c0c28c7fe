import type { Stats } from "node:fs";
import { lstatSync } from "node:fs";
import { lstat, rename, unlink } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { blobFilter } from "@varve/content";
import type { BlobInfo, Expected, WalkOptions } from "@varve/content";
import { isDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Syncer } from "./durability.ts";
import { isErrno } from "./errno.ts";
import { blobPath, trashPath } from "./layout.ts";
import type { Layout } from "./layout.ts";
import { namesIn } from "./names-in.ts";
import { removeAll } from "./remove-all.ts";

/** The blob as a file. Whatever else is in its place counts as nothing: links are not followed. */
function statBlob(path: string): Stats | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found?.isFile() === true ? found : undefined;
}

export async function blobInfo(layout: Layout, digest: Digest): Promise<BlobInfo> {
  const found = statBlob(blobPath(layout, digest));
  if (found === undefined) throw blobNotFound(digest);
  return infoOf(digest, found);
}

/** @param beforeEach is called before each blob, and may throw */
export async function* walkBlobs(
  layout: Layout,
  options: WalkOptions,
  beforeEach: () => void,
): AsyncGenerator<BlobInfo, void, undefined> {
  const passes = blobFilter(options.filters);
  for await (const algorithms of namesIn(layout.blobs)) {
    for (const algorithm of algorithms) {
      const directory = join(layout.blobs, algorithm);
      for await (const names of namesIn(directory)) {
        for (const info of infosOf(directory, algorithm, names)) {
          beforeEach();
          if (passes(info)) yield info;
        }
      }
    }
  }
}

export async function deleteBlob(layout: Layout, digest: Digest): Promise<void> {
  const path = blobPath(layout, digest);
  try {
    await unlink(path);
  } catch (error) {
    if (isErrno(error, "ENOENT")) throw blobNotFound(digest, error);
    // A directory: the error for that is not the same everywhere.
    if (!isErrno(error, "EISDIR", "EPERM") || !(await lstat(path)).isDirectory()) throw error;
    const trash = trashPath(layout);
    await rename(path, trash);
    await removeAll([trash]);
  }
}

/** A stored blob of another size is damaged: it does not count, so that it can be fetched anew. */
export function mustBeMissing(layout: Layout, { digest, size }: Expected): void {
  if (digest === undefined) return;
  const found = statBlob(blobPath(layout, digest));
  if (found === undefined || (size !== undefined && found.size !== size)) return;
  throw new CodedError("ERR_ALREADY_EXISTS", `content ${digest}: already exists`);
}

/**
 * Whoever is told that a blob exists relies on it, and its writer may not have brought its name to disk yet. In a minute
 * every writer has.
 */
export async function syncIfYoung(host: { layout: Layout; syncer: Syncer }, digest: Digest): Promise<void> {
  const { layout, syncer } = host;
  const path = blobPath(layout, digest);
  const found = statBlob(path);
  if (found === undefined || Math.abs(Date.now() - found.ctimeMs) > 60_000) return;
  await syncer.directory(dirname(path));
  await syncer.directory(layout.blobs);
}

/** All at once: a system call on this thread takes less time than asking another for it. */
function infosOf(directory: string, algorithm: string, names: readonly string[]): BlobInfo[] {
  const infos: BlobInfo[] = [];
  for (const name of names) {
    // Unknown algorithms and other names are not ours (U-LCS.5).
    const digest = `${algorithm}:${name}`;
    if (!isDigest(digest)) continue;
    const found = statBlob(`${directory}${sep}${name}`);
    if (found !== undefined) infos.push(infoOf(digest, found));
  }
  return infos;
}

const noLabels: BlobInfo["labels"] = Object.freeze({});

function infoOf(digest: Digest, found: Stats): BlobInfo {
  return { digest, size: found.size, createdAt: found.mtime, updatedAt: found.mtime, labels: noLabels };
}

function blobNotFound(digest: Digest, cause?: unknown): CodedError {
  return new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`, { cause });
}
