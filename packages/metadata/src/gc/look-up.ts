import type { Session } from "../database.ts";
import type { Item } from "../item.ts";
import { textOf } from "../pages.ts";

const queries: Readonly<Record<string, string>> = {
  content: "SELECT 1 FROM blobs WHERE namespace = ? AND digest = ?",
  ingest: "SELECT 1 FROM ingests WHERE namespace = ? AND ref = ?",
  image: "SELECT 1 FROM images WHERE namespace = ? AND name = ?",
  lease: "SELECT 1 FROM leases WHERE namespace = ? AND id = ?",
  snapshot: "SELECT 1 FROM snapshots WHERE namespace = ? AND name = ? AND ? IN ('', snapshotter)",
};

/** What the records say of one item at a glance. */
export interface Recorded {
  readonly here: boolean;
  /** Only another namespace has a record of the blob: it is none of this one. */
  readonly elsewhere: boolean;
  /** What ingests will become: of those it counts whether they are below. */
  readonly expected: readonly string[];
}

export function lookUp(session: Session, { namespace, type, snapshotter = "", id }: Item): Recorded {
  const sql = queries[type];
  const values = type === "snapshot" ? [namespace, id, snapshotter] : [namespace, id];
  const here = sql !== undefined && session.get(sql, ...values) !== undefined;
  const known = type === "content" && session.get("SELECT 1 FROM blobs WHERE digest = ? LIMIT 1", id) !== undefined;
  const rows = session.all("SELECT DISTINCT expected FROM ingests WHERE expected IS NOT NULL");
  return { here, elsewhere: known && !here, expected: rows.map((row) => textOf(row, "expected")) };
}
