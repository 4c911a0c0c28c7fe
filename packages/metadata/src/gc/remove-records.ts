import type { Session } from "../database.ts";
import { dropFromLeases } from "../lease-rows.ts";
import type { Node } from "./graph.ts";
import type { Plan } from "./plan.ts";
import type { RemovalOrder } from "./removal-order.ts";

/** A piece blocks this thread and all writers: it ends when one of these is reached. */
const pieceMs = 3;
const pieceRows = 250;
/** How many rows are removed between two looks at the clock. */
const stride = 16;

const statements: Readonly<Record<string, string>> = {
  content: "DELETE FROM blobs WHERE namespace = ? AND digest = ?",
  ingest: "DELETE FROM ingests WHERE namespace = ? AND ref = ?",
  image: "DELETE FROM images WHERE namespace = ? AND name = ?",
  lease: "DELETE FROM leases WHERE namespace = ? AND id = ?",
};

/** Within the transaction that the plan was made in: removes the records that go. */
export function removeRecords(session: Session, plan: Plan): void {
  deferForeignKeys(session);
  for (const node of plan.records) removeRecord(session, plan, node);
}

/** Within a transaction that made sure that the plan is still true: removes the next few. Says where the piece after it starts. */
export function removePiece(session: Session, plan: Plan, order: RemovalOrder, start: number): number {
  const { nodes, apart } = order;
  if (start >= apart) {
    deferForeignKeys(session);
    for (const node of nodes.slice(start)) removeRecord(session, plan, node);
    return nodes.length;
  }
  const end = Math.min(start + pieceRows, apart);
  const deadline = performance.now() + pieceMs;
  for (let index = start; index < end; index += 1) {
    if (index % stride === 0 && index > start && performance.now() > deadline) return index;
    const node = nodes[index];
    if (node !== undefined) removeRecord(session, plan, node);
  }
  return end;
}

/** The parent of a snapshot may have the higher number, so that no order by number has all children first. */
function deferForeignKeys(session: Session): void {
  session.get("PRAGMA defer_foreign_keys = ON");
}

function removeRecord(session: Session, { graph, marks }: Plan, node: Node): void {
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
