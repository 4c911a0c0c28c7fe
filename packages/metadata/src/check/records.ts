import type { Digest } from "@varve/digest";
import type { ImageRecord } from "@varve/images";
import { blobOf } from "../content/blob-rows.ts";
import type { Database, Row, Session } from "../database.ts";
import { imageOf } from "../image-rows.ts";
import { textOf } from "../pages.ts";
import { selectSnapshots, snapshotRowOf } from "../snapshots/rows.ts";
import type { SnapshotRow } from "../snapshots/rows.ts";
import type { Breathe } from "./breather.ts";

// A page is read in one go: it must not keep this thread for long.
const pageSize = 200;

export interface NamedImage {
  readonly namespace: string;
  readonly image: ImageRecord;
}

/** What the database says there is. It is read page by page while others work: what it shows must be looked at again. */
export interface Records {
  /** Sizes by digest and namespace. */
  readonly blobs: ReadonlyMap<Digest, ReadonlyMap<string, number>>;
  readonly images: readonly NamedImage[];
  readonly snapshots: readonly SnapshotRow[];
}

export interface ReadOptions {
  readonly breathe: Breathe;
  readonly signal: AbortSignal | undefined;
}

/** @throws ERR_DATA_LOSS a record is damaged */
export async function readRecords(database: Database, options: ReadOptions): Promise<Records> {
  const blobs = new Map<Digest, Map<string, number>>();
  await eachPage(database, byNamespaceAnd("blobs", "digest"), options, (row) => {
    const { digest, size } = blobOf(row);
    const sizes = blobs.get(digest) ?? new Map<string, number>();
    blobs.set(digest, sizes.set(textOf(row, "namespace"), size));
  });
  const images: NamedImage[] = [];
  await eachPage(database, byNamespaceAnd("images", "name"), options, (row) => {
    images.push({ namespace: textOf(row, "namespace"), image: imageOf(row) });
  });
  const snapshots: SnapshotRow[] = [];
  await eachPage(database, bySeq, options, (row) => {
    snapshots.push(snapshotRowOf(row));
  });
  return { blobs, images, snapshots };
}

/** Rows after the last one of the page before. */
type Page = (session: Session, after: Row | undefined) => readonly Row[];

async function eachPage(
  database: Database,
  page: Page,
  { breathe, signal }: ReadOptions,
  take: (row: Row) => void,
): Promise<void> {
  for (let after: Row | undefined; ;) {
    const last = after;
    const rows = await database.read((session) => page(session, last), signal);
    for (const row of rows) take(row);
    if (rows.length < pageSize) return;
    after = rows.at(-1);
    await breathe();
  }
}

function byNamespaceAnd(table: "blobs" | "images", column: string): Page {
  return (session, after) =>
    session.all(
      `SELECT * FROM ${table} WHERE (namespace, ${column}) > (?, ?) ORDER BY namespace, ${column} LIMIT ?`,
      textOf(after, "namespace"),
      textOf(after, column),
      pageSize,
    );
}

function bySeq(session: Session, after: Row | undefined): readonly Row[] {
  return session.all(
    `${selectSnapshots} WHERE s.seq > ? ORDER BY s.seq LIMIT ?`,
    Number(after?.["seq"] ?? 0),
    pageSize,
  );
}
