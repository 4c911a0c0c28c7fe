import { DatabaseSync } from "node:sqlite";
import { CodedError } from "@varve/errors";
import type { CallOptions, LabelChanges, SnapshotInfo, SnapshotKind, Usage } from "@varve/snapshots";

export interface Row extends Usage {
  readonly name: string;
  readonly kind: SnapshotKind;
  readonly parent: string | null;
  /** Absent for a view of something. */
  readonly volume: string | null;
  readonly labels: string;
  readonly created: number;
  readonly updated: number;
}

const schema = `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS snapshots (
  name TEXT PRIMARY KEY, kind TEXT NOT NULL, parent TEXT, volume TEXT, labels TEXT NOT NULL,
  created INTEGER NOT NULL, updated INTEGER NOT NULL, bytes INTEGER NOT NULL, inodes INTEGER NOT NULL
) STRICT`;

/** What there is, for several processes. */
export class Table {
  readonly #database: DatabaseSync;

  constructor(path: string) {
    this.#database = new DatabaseSync(path, { timeout: 60_000 });
    this.#database.exec(schema);
  }

  all(sql: string, ...values: (string | number | null)[]): Row[] {
    return this.#database.prepare(sql).all(...values) as unknown as Row[];
  }

  find(name: string, kind?: SnapshotKind): Row {
    const [row] = this.all("SELECT * FROM snapshots WHERE name = ?", name);
    if (row === undefined) throw new CodedError("ERR_NOT_FOUND", `snapshot ${name}: not found`);
    if (kind === undefined || row.kind === kind) return row;
    throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${name}: is ${row.kind}, not ${kind}`);
  }

  mustBeFree(name: string): void {
    if (name === "") throw new CodedError("ERR_INVALID_ARGUMENT", "snapshot: the name is empty");
    const [row] = this.all("SELECT * FROM snapshots WHERE name = ?", name);
    if (row !== undefined) throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${name}: is ${row.kind} already`);
  }

  /** Runs `body` while nobody else changes anything; all of it counts or nothing. */
  async change<T>({ signal }: CallOptions, body: () => T): Promise<T> {
    signal?.throwIfAborted();
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const result = body();
      this.#database.exec("COMMIT");
      return result;
    } finally {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
    }
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }
}

export function infoOf({ kind, name, parent, labels, created, updated }: Row): SnapshotInfo {
  const times = { createdAt: new Date(created), updatedAt: new Date(updated) };
  return { kind, name, parent: parent ?? undefined, labels: JSON.parse(labels) as SnapshotInfo["labels"], ...times };
}

export function labelsText(snapshot: string, labels: LabelChanges = {}): string {
  for (const [name, value = ""] of Object.entries(labels)) {
    if (name !== "" && Buffer.byteLength(name + value) <= 4096) continue;
    throw new CodedError(
      "ERR_INVALID_ARGUMENT",
      `snapshot ${snapshot}: label ${name.slice(0, 64)}: unnamed or too long`,
    );
  }
  return JSON.stringify(labels);
}
