import { CodedError } from "@varve/errors";
import type { LabelChanges, SnapshotInfo, SnapshotKind, Usage } from "@varve/snapshots";
import type { Database, Row } from "./database.ts";

// All functions here are to be called inside a section of the database.

/** A snapshot with what a backend needs to find its directories. */
export interface StoredSnapshot {
  /** Names its directory. Never changes, not even by a commit, and is never given twice. */
  readonly id: number;
  readonly kind: SnapshotKind;
  readonly name: string;
  /** Nearest first. */
  readonly parentIds: readonly number[];
  /** Of a committed snapshot, as its commit measured it. */
  readonly usage?: Usage | undefined;
}

const columns = "s.id, s.name, s.kind, s.parent, s.created, s.updated, s.bytes, s.inodes, p.name AS parentName";
const from = "FROM snapshots s LEFT JOIN snapshots p ON p.id = s.parent";
const walkBatch = 256;

/** @throws ERR_NOT_FOUND */
export function rowOf(database: Database, name: string): Row {
  const row = database.first(`SELECT ${columns} ${from} WHERE s.name = ?`, name);
  if (row === undefined) throw new CodedError("ERR_NOT_FOUND", `snapshot ${name}: not found`);
  return row;
}

/** @throws ERR_ALREADY_EXISTS */
export function mustBeFree(database: Database, name: string): void {
  if (name === "") throw new CodedError("ERR_INVALID_ARGUMENT", "snapshot: the name is empty");
  const row = database.first("SELECT kind FROM snapshots WHERE name = ?", name);
  if (row === undefined) return;
  throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${name}: already exists and is ${String(row["kind"])}`);
}

/** @throws ERR_NOT_FOUND, ERR_FAILED_PRECONDITION */
export function committedParent(database: Database, parent: string): number {
  const row = rowOf(database, parent);
  if (row["kind"] === "committed") return Number(row["id"]);
  throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${parent}: cannot be a parent: is ${String(row["kind"])}`);
}

/** @throws ERR_NOT_FOUND, ERR_FAILED_PRECONDITION */
export function activeRow(database: Database, key: string): Row {
  const row = rowOf(database, key);
  if (row["kind"] === "active") return row;
  throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${key}: is ${String(row["kind"])}, not active`);
}

export function storedSnapshot(database: Database, row: Row): StoredSnapshot {
  const { bytes, inodes } = row;
  return {
    id: Number(row["id"]),
    kind: kindOf(row),
    name: String(row["name"]),
    parentIds: row["parent"] === null ? [] : chainOf(database, Number(row["parent"])),
    usage: bytes === null || inodes === null ? undefined : { bytes: Number(bytes), inodes: Number(inodes) },
  };
}

/** `id` and the ids below it, nearest first. */
export function chainOf(database: Database, id: number): readonly number[] {
  const chain = `WITH RECURSIVE chain (id, parent, depth) AS (
    SELECT id, parent, 0 FROM snapshots WHERE id = ?
    UNION ALL SELECT s.id, s.parent, chain.depth + 1 FROM snapshots s JOIN chain ON s.id = chain.parent
  ) SELECT id FROM chain ORDER BY depth`;
  return database.all(chain, id).map((row) => Number(row["id"]));
}

export function infoOf(database: Database, row: Row): SnapshotInfo {
  const labels = database.all("SELECT name, value FROM labels WHERE snapshot = ? ORDER BY name", row["id"] ?? null);
  return {
    kind: kindOf(row),
    name: String(row["name"]),
    parent: row["parentName"] === null ? undefined : String(row["parentName"]),
    labels: Object.fromEntries(labels.map((label) => [String(label["name"]), String(label["value"])])),
    createdAt: new Date(Number(row["created"])),
    updatedAt: new Date(Number(row["updated"])),
  };
}

/** The next snapshots after the one with the id `after`; empty at the end. */
export function infosAfter(database: Database, after: number): readonly { id: number; info: SnapshotInfo }[] {
  const rows = database.all(`SELECT ${columns} ${from} WHERE s.id > ? ORDER BY s.id LIMIT ${walkBatch}`, after);
  return rows.map((row) => ({ id: Number(row["id"]), info: infoOf(database, row) }));
}

/** Adds a snapshot and returns its id. */
export function insertSnapshot(
  database: Database,
  snapshot: { readonly name: string; readonly kind: SnapshotKind; readonly parent: number | undefined },
): number {
  const now = Date.now();
  const row = database.first(
    "INSERT INTO snapshots (name, kind, parent, created, updated) VALUES (?, ?, ?, ?, ?) RETURNING id",
    snapshot.name,
    snapshot.kind,
    snapshot.parent ?? null,
    now,
    now,
  );
  return Number(row?.["id"]);
}

/** Turns an active row into a committed one, which starts with no labels. */
export function commitRow(database: Database, id: number, name: string, usage: Usage): void {
  const now = Date.now();
  database.all("DELETE FROM labels WHERE snapshot = ?", id);
  database.all(
    "UPDATE snapshots SET name = ?, kind = 'committed', created = ?, updated = ?, bytes = ?, inodes = ? WHERE id = ?",
    name,
    now,
    now,
    usage.bytes,
    usage.inodes,
    id,
  );
}

/** Sets and removes labels without a word about the time. */
export function putLabels(database: Database, id: number, labels: LabelChanges): void {
  for (const [name, value] of Object.entries(labels)) {
    if (value === undefined) database.all("DELETE FROM labels WHERE snapshot = ? AND name = ?", id, name);
    else database.all("INSERT OR REPLACE INTO labels (snapshot, name, value) VALUES (?, ?, ?)", id, name, value);
  }
}

/** The time of the last change never goes back, whatever the clock does. */
export function touch(database: Database, id: number): void {
  database.all("UPDATE snapshots SET updated = max(updated, ?) WHERE id = ?", Date.now(), id);
}

/** @throws ERR_FAILED_PRECONDITION other snapshots stand on it */
export function deleteRow(database: Database, row: Row): void {
  const id = Number(row["id"]);
  const child = database.first("SELECT name FROM snapshots WHERE parent = ? LIMIT 1", id);
  if (child !== undefined) {
    throw new CodedError(
      "ERR_FAILED_PRECONDITION",
      `snapshot ${String(row["name"])}: cannot be removed: snapshot ${String(child["name"])} stands on it`,
    );
  }
  database.all("DELETE FROM snapshots WHERE id = ?", id);
}

function kindOf(row: Row): SnapshotKind {
  const kind = row["kind"];
  if (kind === "active" || kind === "committed" || kind === "view") return kind;
  throw new CodedError("ERR_DATA_LOSS", `snapshot ${String(row["name"])}: unknown kind ${String(kind)}`);
}
