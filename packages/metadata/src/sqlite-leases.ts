import { randomUUID } from "node:crypto";
import { isDigest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { CallOptions, CreateLeaseOptions, Lease, LeaseManager, LeaseResource } from "@varve/leases";
import type { Database, Row, Session } from "./database.ts";
import { checkLabels, labelsOf } from "./labels.ts";

const pageSize = 100;

export class SqliteLeases implements LeaseManager {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async create(options: CreateLeaseOptions = {}): Promise<Lease> {
    const { id = randomUUID(), labels = {}, expiresAt, signal } = options;
    if (id === "") throw new CodedError("ERR_INVALID_ARGUMENT", "lease: the id is empty");
    if (expiresAt !== undefined && Number.isNaN(expiresAt.getTime())) {
      throw new CodedError("ERR_INVALID_ARGUMENT", `lease ${id}: expiresAt is not a valid date`);
    }
    checkLabels(`lease ${id}`, labels);
    const createdAt = new Date();
    await this.#database.write((session) => {
      if (exists(session, id)) throw new CodedError("ERR_ALREADY_EXISTS", `lease ${id}: already exists`);
      session.run(
        "INSERT INTO leases (id, labels, created_at, expires_at) VALUES (?, ?, ?, ?)",
        id,
        JSON.stringify(labels),
        createdAt.getTime(),
        expiresAt?.getTime() ?? null,
      );
    }, signal);
    return { id, labels: { ...labels }, createdAt, expiresAt };
  }

  async delete(id: string, options: CallOptions = {}): Promise<void> {
    const changed = await this.#database.write(
      (session) => session.run("DELETE FROM leases WHERE id = ?", id),
      options.signal,
    );
    if (changed === 0) throw notFound(id);
  }

  async *list(options: CallOptions = {}): AsyncGenerator<Lease, void, undefined> {
    for (let after = ""; ;) {
      const rows = await this.#database.read(
        (session) => session.all("SELECT * FROM leases WHERE id > ? ORDER BY id LIMIT ?", after, pageSize),
        options.signal,
      );
      for (const row of rows) {
        const lease = leaseOf(row);
        after = lease.id;
        yield lease;
      }
      if (rows.length < pageSize) return;
    }
  }

  async add(id: string, resource: LeaseResource, options: CallOptions = {}): Promise<void> {
    const key = keyOf(id, resource);
    await this.#database.write((session) => {
      if (!exists(session, id)) throw notFound(id);
      session.run("INSERT OR IGNORE INTO lease_resources (lease, type, snapshotter, id) VALUES (?, ?, ?, ?)", ...key);
    }, options.signal);
  }

  async remove(id: string, resource: LeaseResource, options: CallOptions = {}): Promise<void> {
    const key = keyOf(id, resource);
    await this.#database.write((session) => {
      if (!exists(session, id)) throw notFound(id);
      session.run("DELETE FROM lease_resources WHERE lease = ? AND type = ? AND snapshotter = ? AND id = ?", ...key);
    }, options.signal);
  }

  async *resources(id: string, options: CallOptions = {}): AsyncGenerator<LeaseResource, void, undefined> {
    const rows = await this.#database.read((session) => {
      if (!exists(session, id)) throw notFound(id);
      return session.all("SELECT type, snapshotter, id FROM lease_resources WHERE lease = ? ORDER BY 1, 2, 3", id);
    }, options.signal);
    for (const row of rows) yield resourceOf(row);
  }
}

function exists(session: Session, id: string): boolean {
  return session.get("SELECT 1 FROM leases WHERE id = ?", id) !== undefined;
}

/** The columns of a resource, its shape checked (U-MD.10). */
function keyOf(lease: string, resource: LeaseResource): [string, string, string, string] {
  const wrong = (why: string): CodedError => new CodedError("ERR_INVALID_ARGUMENT", `lease ${lease}: ${why}`);
  const { type, id } = resource;
  if (id === "") throw wrong(`a resource of type ${type} without an id`);
  switch (type) {
    case "content":
      if (!isDigest(id)) throw wrong(`content ${id}: not a digest`);
      return [lease, type, "", id];
    case "ingest":
    case "image":
      return [lease, type, "", id];
    case "snapshot":
      if (resource.snapshotter === "") throw wrong(`snapshot ${id}: no snapshotter is named`);
      return [lease, type, resource.snapshotter, id];
    default:
      throw new CodedError("ERR_NOT_IMPLEMENTED", `lease ${lease}: resources of type ${String(type)}`);
  }
}

function resourceOf(row: Row): LeaseResource {
  const [type, id] = [String(row["type"]), String(row["id"])];
  if (type === "content" || type === "ingest" || type === "image") return { type, id };
  return { type: "snapshot", snapshotter: String(row["snapshotter"]), id };
}

function leaseOf(row: Row): Lease {
  const expiresAt = row["expires_at"];
  return {
    id: String(row["id"]),
    labels: labelsOf(row),
    createdAt: new Date(Number(row["created_at"])),
    expiresAt: expiresAt === null || expiresAt === undefined ? undefined : new Date(Number(expiresAt)),
  };
}

function notFound(id: string): CodedError {
  return new CodedError("ERR_NOT_FOUND", `lease ${id}: not found`);
}
