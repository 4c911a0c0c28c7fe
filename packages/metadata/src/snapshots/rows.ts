import { CodedError } from "@varve/errors";
import { currentOwner, isOwnerAlive } from "@varve/locks";
import { labelUpperDirectory } from "@varve/snapshots";
import type { SnapshotInfo, SnapshotKind } from "@varve/snapshots";
import type { Row, Session } from "../database.ts";
import { labelsOf } from "../labels.ts";
import type { Labels } from "../labels.ts";
import { dropFromLeases } from "../lease-rows.ts";

// All functions here are to be called inside a section of the database.

/** The record of one snapshot. The snapshot itself is in the snapshotter below, under `backendKey`. */
export interface SnapshotRow {
  readonly seq: number;
  readonly namespace: string;
  readonly snapshotter: string;
  readonly name: string;
  readonly kind: SnapshotKind;
  readonly parent: number | undefined;
  readonly parentName: string | undefined;
  readonly parentKey: string | undefined;
  readonly backendKey: string;
  /** Who makes the snapshot below; empty once it is known to be there. */
  readonly owner: string;
  readonly labels: Labels;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** Whose names are meant. */
export interface SnapshotScope {
  readonly namespace: string;
  readonly snapshotter: string;
}

export interface NewRow {
  readonly name: string;
  readonly kind: SnapshotKind;
  readonly parent: number | undefined;
  readonly labels: Labels;
  /** The record that this one replaces: it is later than that, whatever the clock says. */
  readonly after?: SnapshotRow | undefined;
}

/** What one record is read with; conditions about it follow. */
export const selectSnapshots = `SELECT s.*, p.name AS parent_name, p.backend_key AS parent_key
  FROM snapshots s LEFT JOIN snapshots p ON p.seq = s.parent`;

export function findRow(session: Session, scope: SnapshotScope, name: string): SnapshotRow | undefined {
  const { namespace, snapshotter } = scope;
  const where = "WHERE s.namespace = ? AND s.snapshotter = ? AND s.name = ?";
  const row = session.get(`${selectSnapshots} ${where}`, namespace, snapshotter, name);
  return row === undefined ? undefined : snapshotRowOf(row);
}

/** @throws ERR_NOT_FOUND */
export function mustFind(session: Session, scope: SnapshotScope, name: string): SnapshotRow {
  const row = findRow(session, scope, name);
  if (row === undefined) throw notFound(name);
  return row;
}

/** @throws ERR_NOT_FOUND, ERR_FAILED_PRECONDITION it is not active */
export function mustBeActive(session: Session, scope: SnapshotScope, key: string): SnapshotRow {
  const row = mustFind(session, scope, key);
  if (row.kind === "active") return row;
  throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${key}: is ${row.kind}, not active`);
}

/** @throws ERR_NOT_FOUND, ERR_FAILED_PRECONDITION it is not committed */
export function mustBeParent(session: Session, scope: SnapshotScope, name: string): SnapshotRow {
  const row = mustFind(session, scope, name);
  if (row.kind === "committed") return row;
  throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${name}: cannot be a parent: is ${row.kind}`);
}

export function findSeq(session: Session, seq: number): SnapshotRow | undefined {
  const row = session.get(`${selectSnapshots} WHERE s.seq = ?`, seq);
  return row === undefined ? undefined : snapshotRowOf(row);
}

/** The records, in whatever namespace, that stand for what is under that key below: it may have been taken over. */
export function rowsBelow(session: Session, snapshotter: string, backendKey: string): SnapshotRow[] {
  const where = "WHERE s.snapshotter = ? AND s.backend_key = ? ORDER BY s.seq";
  return session.all(`${selectSnapshots} ${where}`, snapshotter, backendKey).map(snapshotRowOf);
}

/** The record and all that stand on it, parents before children. */
export function subtreeOf(session: Session, seq: number): SnapshotRow[] {
  const tree = `WITH RECURSIVE tree (seq, depth) AS (
    SELECT ?, 0 UNION ALL SELECT c.seq, tree.depth + 1 FROM snapshots c JOIN tree ON c.parent = tree.seq
  )`;
  return session
    .all(`${tree} ${selectSnapshots} JOIN tree ON tree.seq = s.seq ORDER BY tree.depth`, seq)
    .map(snapshotRowOf);
}

export function childOf(session: Session, seq: number): SnapshotRow | undefined {
  const row = session.get(`${selectSnapshots} WHERE s.parent = ? LIMIT 1`, seq);
  return row === undefined ? undefined : snapshotRowOf(row);
}

/** Adds the record of a snapshot that this process is about to make. */
export function insertRow(session: Session, scope: SnapshotScope, row: NewRow): SnapshotRow {
  const { namespace, snapshotter } = scope;
  const now = Math.max(Date.now(), (row.after?.updatedAt ?? 0) + 1);
  const inserted = session.get(
    `INSERT INTO snapshots (namespace, snapshotter, name, kind, parent, backend_key, owner, labels, created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, '', ?, ?, ?, ?) RETURNING seq`,
    namespace,
    snapshotter,
    row.name,
    row.kind,
    row.parent ?? null,
    currentOwner(),
    JSON.stringify(row.labels),
    now,
    now,
  );
  const seq = Number(inserted?.["seq"]);
  session.run("UPDATE snapshots SET backend_key = ? WHERE seq = ?", `${namespace}/${seq}/${row.name}`, seq);
  const found = findSeq(session, seq);
  if (found === undefined) throw new CodedError("ERR_INTERNAL", `snapshot ${row.name}: its record is missing`);
  return found;
}

/** Removes a record that nothing stands on, also from the leases. Says whether it was there. */
export function deleteRow(session: Session, { seq, namespace, snapshotter, name }: SnapshotRow): boolean {
  if (session.run("DELETE FROM snapshots WHERE seq = ?", seq) === 0) return false;
  dropFromLeases(session, namespace, { type: "snapshot", snapshotter, id: name });
  return true;
}

/** Whether a record, in whatever namespace, stands for what is under that key below. */
export function isRecorded(session: Session, snapshotter: string, backendKey: string): boolean {
  const sql = "SELECT 1 FROM snapshots WHERE snapshotter = ? AND backend_key = ?";
  return session.get(sql, snapshotter, backendKey) !== undefined;
}

/** Whether somebody alive may be making the snapshot at this moment. */
export function isUnderWay({ owner }: SnapshotRow): boolean {
  return owner !== "" && isOwnerAlive(owner);
}

/** @param below the snapshot itself, which may show where its files are: nobody has to record that */
export function infoOf(row: SnapshotRow, below?: SnapshotInfo): SnapshotInfo {
  const shown = below?.labels[labelUpperDirectory];
  return {
    kind: row.kind,
    name: row.name,
    parent: row.parentName,
    labels: shown === undefined ? row.labels : { ...row.labels, [labelUpperDirectory]: shown },
    createdAt: new Date(row.createdAt),
    updatedAt: new Date(row.updatedAt),
  };
}

/** The names that the caller knows, by the keys below. */
export function namesIn(row: SnapshotRow): ReadonlyMap<string, string> {
  const names = new Map([[row.backendKey, row.name]]);
  if (row.parentKey !== undefined && row.parentName !== undefined) names.set(row.parentKey, row.parentName);
  return names;
}

export function snapshotRowOf(row: Row): SnapshotRow {
  const { parent, parent_name: parentName, parent_key: parentKey } = row;
  return {
    seq: Number(row["seq"]),
    namespace: String(row["namespace"]),
    snapshotter: String(row["snapshotter"]),
    name: String(row["name"]),
    kind: kindOf(row),
    parent: parent === null ? undefined : Number(parent),
    parentName: typeof parentName === "string" ? parentName : undefined,
    parentKey: typeof parentKey === "string" ? parentKey : undefined,
    backendKey: String(row["backend_key"]),
    owner: String(row["owner"]),
    labels: labelsOf(row),
    createdAt: Number(row["created_at"]),
    updatedAt: Number(row["updated_at"]),
  };
}

export function notFound(name: string, cause?: unknown): CodedError {
  return new CodedError("ERR_NOT_FOUND", `snapshot ${name}: not found`, cause === undefined ? {} : { cause });
}

function kindOf(row: Row): SnapshotKind {
  const kind = row["kind"];
  if (kind === "active" || kind === "committed" || kind === "view") return kind;
  throw new CodedError("ERR_DATA_LOSS", `snapshot ${String(row["name"])}: unknown kind ${String(kind)}`);
}
