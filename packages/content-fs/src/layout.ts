import { hash, randomUUID } from "node:crypto";
import { join, sep } from "node:path";
import { digestAlgorithm, digestHex, parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";

/** Where things are under the root of a store (U-LCS.1). */
export interface Layout {
  readonly root: string;
  readonly blobs: string;
  readonly ingests: string;
  readonly quarantine: string;
  /** The file that carries the lock of the store. */
  readonly lock: string;
}

export function layoutOf(root: string): Layout {
  const ingests = join(root, "ingest");
  return {
    root,
    blobs: join(root, "blobs"),
    ingests,
    quarantine: join(root, "quarantine"),
    lock: join(ingests, "lock"),
  };
}

/** Parses again: whatever reaches a path has the form of a digest, also when a caller cast it. */
export function blobPath(layout: Layout, digest: Digest): string {
  const checked = parseDigest(digest);
  return `${layout.blobs}${sep}${digestAlgorithm(checked)}${sep}${digestHex(checked)}`;
}

/** The files of one ingest stand side by side: a directory of its own would cost more than all else of a small one. */
export interface IngestPaths {
  /** What is known of the ingest; with this file the ingest is there. */
  readonly record: string;
  /** What the names of its data files begin with. */
  readonly stem: string;
}

/** A ref is any text, so its files are named by its hash. */
export function ingestPaths(layout: Layout, ref: string): IngestPaths {
  return pathsOf(layout, hash("sha256", ref, "hex"));
}

/** Whether these are the files of `ref`: another one's record in their place says nothing about them. */
export function isPathOf(paths: IngestPaths, ref: string): boolean {
  return paths.stem.endsWith(hash("sha256", ref, "hex"));
}

function pathsOf(layout: Layout, id: string): IngestPaths {
  const stem = `${layout.ingests}${sep}${id}`;
  return { record: `${stem}.record`, stem };
}

/** The record names its data file, so that one file is exchanged for another in one step. */
export function dataPath(paths: IngestPaths, name: string): string {
  return `${paths.stem}.${name}`;
}

const uuid = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
const dataName = new RegExp(`^${uuid}$`);
const ingestFile = new RegExp(`^([0-9a-f]{64})\\.(?:(record)|(record\\.new)|(${uuid}))$`);

/** Whether a record may name a data file like this: what it names becomes a path. */
export function isDataName(name: unknown): name is string {
  return typeof name === "string" && dataName.test(name);
}

/** What a file under `ingest` is by its name. */
export type IngestFile =
  | { readonly kind: "record"; readonly paths: IngestPaths }
  | { readonly kind: "record half replaced"; readonly paths: IngestPaths }
  | { readonly kind: "data"; readonly paths: IngestPaths; readonly name: string };

export function ingestFileOf(layout: Layout, fileName: string): IngestFile | undefined {
  const match = ingestFile.exec(fileName);
  if (match === null) return undefined;
  const [, id = "", record, half, name] = match;
  const paths = pathsOf(layout, id);
  if (record !== undefined) return { kind: "record", paths };
  if (half !== undefined || name === undefined) return { kind: "record half replaced", paths };
  return { kind: "data", paths, name };
}

const trashPrefix = "trash-";
const privatePrefix = "own-";

/** A name for what is on its way out: it is renamed first, so that it disappears in one step. */
export function trashPath(layout: Layout): string {
  return join(layout.ingests, `${trashPrefix}${randomUUID()}`);
}

export function isTrashName(name: string): boolean {
  return name.startsWith(trashPrefix);
}

/** A name for a file that is nobody else's business, which tells whose it is. */
export function privatePath(layout: Layout, owner: string): string {
  return join(layout.ingests, `${privatePrefix}${encodeURIComponent(owner)}.${randomUUID()}`);
}

/** Whose file this is, if it is a private one. */
export function privateOwner(name: string): string | undefined {
  if (!name.startsWith(privatePrefix)) return undefined;
  try {
    return decodeURIComponent(name.slice(privatePrefix.length, name.lastIndexOf(".")));
  } catch {
    return "";
  }
}
