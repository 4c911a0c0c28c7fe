import { createHash } from "node:crypto";
import { join } from "node:path";
import { digestAlgorithm, digestHex, parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";

/** Where things are under the root of a store (U-LCS.1). */
export interface Layout {
  readonly root: string;
  readonly blobs: string;
  readonly ingests: string;
  /** The file that carries the lock of the store. */
  readonly lock: string;
}

export function layoutOf(root: string): Layout {
  const ingests = join(root, "ingest");
  return { root, blobs: join(root, "blobs"), ingests, lock: join(ingests, "lock") };
}

/** Parses again: whatever reaches a path has the form of a digest, also when a caller cast it. */
export function blobPath(layout: Layout, digest: Digest): string {
  const checked = parseDigest(digest);
  return join(layout.blobs, digestAlgorithm(checked), digestHex(checked));
}

/** The files of one ingest. */
export interface IngestPaths {
  readonly dir: string;
  readonly data: string;
  readonly ref: string;
  readonly status: string;
  readonly owner: string;
}

/** A ref is any text, so its directory is named by its hash. */
export function ingestPaths(layout: Layout, ref: string): IngestPaths {
  return pathsIn(join(layout.ingests, createHash("sha256").update(ref).digest("hex")));
}

export function pathsIn(dir: string): IngestPaths {
  return {
    dir,
    data: join(dir, "data"),
    ref: join(dir, "ref"),
    status: join(dir, "status"),
    owner: join(dir, "owner"),
  };
}

/** Whether a name under `ingest` is that of an ingest. */
export function isIngestName(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

/** What is on its way out is renamed to this first, so that it disappears in one step. */
export const trashPrefix = "trash-";
