import type { Session } from "../database.ts";
import { dropFromLeases } from "../lease-rows.ts";
import type { Plan } from "./plan.ts";

const statements: Readonly<Record<string, string>> = {
  content: "DELETE FROM blobs WHERE namespace = ? AND digest = ?",
  ingest: "DELETE FROM ingests WHERE namespace = ? AND ref = ?",
  image: "DELETE FROM images WHERE namespace = ? AND name = ?",
  lease: "DELETE FROM leases WHERE namespace = ? AND id = ?",
};

/** Within the transaction that the plan was made in, or made sure to be still true in: removes the records that go. */
export function removeRecords(session: Session, { records, graph, marks }: Plan): void {
  // The parent of a snapshot may have the higher number, so that no order by number has all children first.
  session.get("PRAGMA defer_foreign_keys = ON");
  for (const node of records) {
    const { namespace, type, snapshotter = "", id } = graph.item(node);
    const sql = statements[type];
    if (sql !== undefined) session.run(sql, namespace, id);
    if (type === "snapshot") {
      session.run(
        "DELETE FROM snapshots WHERE namespace = ? AND snapshotter = ? AND name = ?",
        namespace,
        snapshotter,
        id,
      );
      // One that was never made may be held by a lease that stays.
      if (marks.isKept(node)) dropFromLeases(session, namespace, { type, snapshotter, id });
    }
  }
}
