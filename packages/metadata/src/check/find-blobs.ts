import { blobExists } from "@varve/content";
import { parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { Session } from "../database.ts";
import { isBeingRemoved } from "../content/removals.ts";
import type { StoreContext } from "../store-context.ts";
import type { Breathe } from "./breather.ts";
import { examine } from "./examine.ts";
import type { Records } from "./records.ts";
import type { CheckOptions } from "./report.ts";

/** A blob whose bytes are not what they should be. */
interface Damage {
  readonly why: string;
  readonly actual?: Digest | undefined;
}

export interface BlobSearch {
  readonly context: StoreContext;
  readonly records: Records;
  /** Sizes of what is below. */
  readonly below: ReadonlyMap<string, number>;
  readonly options: CheckOptions;
  readonly breathe: Breathe;
}

export interface BlobFindings {
  readonly damaged: Map<Digest, Damage>;
  /** The namespaces that have a record, by digest. */
  readonly missing: ReadonlyMap<Digest, readonly string[]>;
  readonly orphaned: readonly Digest[];
  /** Read and hashed. */
  readonly bytes: number;
}

export async function findBlobs(search: BlobSearch): Promise<BlobFindings> {
  // What may be there only because something has changed between two looks is looked at again at once, not after hours of reading.
  const missing = await findMissing(search);
  const orphaned = await findOrphaned(search);
  return { missing, orphaned, ...(await findDamaged(search)) };
}

async function findMissing({ context, records, below, options, breathe }: BlobSearch): Promise<Map<Digest, string[]>> {
  const missing = new Map<Digest, string[]>();
  for (const [digest, sizes] of records.blobs) {
    await breathe();
    if (below.has(digest) || (await blobExists(context.content, digest, options))) continue;
    const found = await context.database.read(
      (session) => [...sizes.keys()].filter((namespace) => isRecordedIn(session, namespace, digest)),
      options.signal,
    );
    if (found.length > 0) missing.set(digest, found);
  }
  return missing;
}

async function findOrphaned({ context, records, below, options, breathe }: BlobSearch): Promise<Digest[]> {
  const orphaned: Digest[] = [];
  for (const id of below.keys()) {
    await breathe();
    const digest = parseDigest(id);
    if (records.blobs.has(digest)) continue;
    const isKept = await context.database.read((session) => isWanted(session, digest), options.signal);
    if (!isKept && (await blobExists(context.content, digest, options))) orphaned.push(digest);
  }
  return orphaned;
}

async function findDamaged(search: BlobSearch): Promise<Pick<BlobFindings, "damaged" | "bytes">> {
  const { context, records, below, options, breathe } = search;
  const { contents = true, onProgress, signal } = options;
  const damaged = new Map<Digest, Damage>();
  let total = 0;
  for (const size of below.values()) total += size;
  let bytes = 0;
  for (const [id, size] of below) {
    await breathe();
    const digest = parseDigest(id);
    const sizes = [...(records.blobs.get(digest)?.values() ?? [])];
    const found = contents
      ? await examine(context.content, digest, { signal, breathe })
      : ({ kind: "whole", size } as const);
    if (contents) bytes += size;
    if (contents) onProgress?.({ bytes, total });
    const recorded = found.kind === "whole" ? sizes.find((one) => one !== found.size) : undefined;
    if (found.kind === "damaged") damaged.set(digest, found);
    else if (found.kind === "whole" && recorded !== undefined) {
      damaged.set(digest, {
        why: `it has ${found.size} bytes, ${recorded} are recorded`,
        actual: contents ? digest : undefined,
      });
    }
  }
  return { damaged, bytes };
}

function isRecordedIn(session: Session, namespace: string, digest: Digest): boolean {
  return session.get("SELECT 1 FROM blobs WHERE namespace = ? AND digest = ?", namespace, digest) !== undefined;
}

/** Whether a blob has a record, will have one when it is committed, or is being collected. */
function isWanted(session: Session, digest: Digest): boolean {
  const isRecorded = session.get("SELECT 1 FROM blobs WHERE digest = ? LIMIT 1", digest) !== undefined;
  return isRecorded || isExpected(session, digest) || isBeingRemoved(session, digest);
}

export function isExpected(session: Session, digest: Digest): boolean {
  return session.get("SELECT 1 FROM ingests WHERE expected = ? LIMIT 1", digest) !== undefined;
}
