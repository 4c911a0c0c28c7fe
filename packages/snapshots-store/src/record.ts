import { CodedError } from "@varve/errors";
import type { LabelChanges, SnapshotKind } from "@varve/snapshots";
import type { Database, Row } from "./database.ts";
import type { RecordedSnapshot, SealedContents, SnapshotIdentity, StoredSnapshot } from "./snapshot-store.ts";

// All functions here are to be called inside a section of the database.

const columns = `s.id, s.name, s.kind, s.parent, s.directory, s.created, s.updated, s.bytes, s.inodes, s.fingerprint,
  p.name AS parentName`;
const from = "FROM snapshots s LEFT JOIN snapshots p ON p.id = s.parent";
/** How many snapshots are read at a time. */
export const walkBatch = 256;

/** What the database looks for among all snapshots: at least those that are wanted. */
export interface Narrowing {
  readonly condition: string;
  readonly values: readonly string[];
}

/** @throws ERR_NOT_FOUND */
export function rowOf(database: Database, name: string): Row {
  const row = database.first(`SELECT ${columns} ${from} WHERE s.name = ?`, name);
  if (row === undefined) throw notFound(name);
  return row;
}

export function notFound(name: string): CodedError {
  return new CodedError("ERR_NOT_FOUND", `snapshot ${name}: not found`);
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
    ...identityOf(row),
    parentIds: row["parent"] === null ? [] : chainOf(database, Number(row["parent"])),
    labels: labelsOf(database, Number(row["id"])),
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

export function infoOf(database: Database, row: Row): RecordedSnapshot {
  const { fingerprint } = row;
  return {
    ...identityOf(row),
    parent: row["parentName"] === null ? undefined : String(row["parentName"]),
    labels: labelsOf(database, Number(row["id"])),
    createdAt: new Date(Number(row["created"])),
    updatedAt: new Date(Number(row["updated"])),
    fingerprint: fingerprint instanceof Uint8Array ? fingerprint : undefined,
  };
}

/** The next snapshots after the one with the id `after`; empty at the end. */
export function infosAfter(database: Database, after: number, within: Narrowing): readonly RecordedSnapshot[] {
  const where = `s.id > ? AND ${within.condition}`;
  const sql = `SELECT ${columns} ${from} WHERE ${where} ORDER BY s.id LIMIT ${walkBatch}`;
  return database.all(sql, after, ...within.values).map((row) => infoOf(database, row));
}

/** Adds a snapshot and returns its id. */
export function insertSnapshot(
  database: Database,
  snapshot: Omit<SnapshotIdentity, "id"> & { readonly parent: number | undefined },
): number {
  const now = Date.now();
  const row = database.first(
    "INSERT INTO snapshots (name, kind, parent, directory, created, updated) VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
    snapshot.name,
    snapshot.kind,
    snapshot.parent ?? null,
    snapshot.hasDirectory ? 1 : 0,
    now,
    now,
  );
  return Number(row?.["id"]);
}

/** Turns an active row into a committed one, which starts with no labels. */
export function commitRow(database: Database, id: number, name: string, contents: SealedContents): void {
  const now = Date.now();
  removeLabels(database, id);
  database.all(
    `UPDATE snapshots SET name = ?, kind = 'committed', created = ?, updated = max(updated + 1, ?),
      bytes = ?, inodes = ?, fingerprint = ? WHERE id = ?`,
    name,
    now,
    now,
    contents.bytes,
    contents.inodes,
    contents.fingerprint ?? null,
    id,
  );
}

export function removeLabels(database: Database, id: number): void {
  database.all("DELETE FROM labels WHERE snapshot = ?", id);
}

export function labelsOf(database: Database, id: number): Readonly<Record<string, string>> {
  const rows = database.all("SELECT name, value FROM labels WHERE snapshot = ? ORDER BY name", id);
  return Object.fromEntries(rows.map((row) => [String(row["name"]), String(row["value"])]));
}

/** Sets and removes labels without a word about the time. */
export function putLabels(database: Database, id: number, labels: LabelChanges): void {
  for (const [name, value] of Object.entries(labels)) {
    if (value === undefined) database.all("DELETE FROM labels WHERE snapshot = ? AND name = ?", id, name);
    else database.all("INSERT OR REPLACE INTO labels (snapshot, name, value) VALUES (?, ?, ?)", id, name, value);
  }
}

/** The time of the last change grows with each, whatever the clock does. */
export function touch(database: Database, id: number): void {
  database.all("UPDATE snapshots SET updated = max(updated + 1, ?) WHERE id = ?", Date.now(), id);
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

/** @throws ERR_DATA_LOSS */
export function directoriesOf(database: Database): readonly SnapshotIdentity[] {
  return database.all("SELECT id, name, kind, directory FROM snapshots").map((row) => identityOf(row));
}

/** Removes an active snapshot or a view. */
export function deleteOf(database: Database, id: number): void {
  database.all("DELETE FROM snapshots WHERE id = ? AND kind <> 'committed'", id);
}

/** The greatest id ever given. */
export function lastId(database: Database): number {
  return Number(database.first("SELECT seq FROM sqlite_sequence WHERE name = 'snapshots'")?.["seq"] ?? 0);
}

function identityOf(row: Row): SnapshotIdentity {
  return {
    id: Number(row["id"]),
    kind: kindOf(row),
    name: String(row["name"]),
    hasDirectory: row["directory"] === 1,
  };
}

function kindOf(row: Row): SnapshotKind {
  const kind = row["kind"];
  if (kind === "active" || kind === "committed" || kind === "view") return kind;
  throw new CodedError("ERR_DATA_LOSS", `snapshot ${String(row["name"])}: unknown kind ${String(kind)}`);
}
