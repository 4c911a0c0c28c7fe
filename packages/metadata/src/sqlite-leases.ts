import { randomUUID } from "node:crypto";
import { CodedError } from "@varve/errors";
import { labelGcExpire, leaseFilter } from "@varve/leases";
import type { CallOptions, CreateLeaseOptions, Lease, LeaseManager, LeaseResource, ListOptions } from "@varve/leases";
import type { Row, Session } from "./database.ts";
import { expiryOf } from "./expiry.ts";
import { checkLabels, labelsOf } from "./labels.ts";
import type { Labels } from "./labels.ts";
import { checkResource, resourceOf } from "./lease-resources.ts";
import { addToLease, columnsOf, mustHaveLease } from "./lease-rows.ts";
import { useNamespace } from "./namespace-rows.ts";
import { pages, textOf } from "./pages.ts";
import type { Scope } from "./store-context.ts";

/** The leases of one namespace. */
export class SqliteLeases implements LeaseManager {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async create(options: CreateLeaseOptions = {}): Promise<Lease> {
    const { id = randomUUID(), signal } = options;
    if (id === "") throw new CodedError("ERR_INVALID_ARGUMENT", "lease: the id is empty");
    const { labels, expiresAt } = withExpiry(id, options);
    checkLabels(`lease ${id}`, labels);
    const createdAt = new Date();
    const { context, namespace } = this.#scope;
    await context.database.record((session) => {
      useNamespace(session, namespace);
      const created = session.run(
        "INSERT OR IGNORE INTO leases (namespace, id, labels, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
        namespace,
        id,
        JSON.stringify(labels),
        createdAt.getTime(),
        expiresAt?.getTime() ?? null,
      );
      if (created === 0) throw new CodedError("ERR_ALREADY_EXISTS", `lease ${id}: already exists`);
    }, signal);
    return { id, labels: { ...labels }, createdAt, expiresAt };
  }

  async delete(id: string, options: CallOptions = {}): Promise<void> {
    const { context, namespace } = this.#scope;
    await context.database.freeSoon((session) => {
      const changed = session.run("DELETE FROM leases WHERE namespace = ? AND id = ?", namespace, id);
      if (changed === 0) throw new CodedError("ERR_NOT_FOUND", `lease ${id}: not found`);
    }, options.signal);
    await context.database.sync();
  }

  async *list(options: ListOptions = {}): AsyncGenerator<Lease, void, undefined> {
    const matches = leaseFilter(options.filters);
    const { context, namespace } = this.#scope;
    const page = (session: Session, after: Row | undefined, limit: number): readonly Row[] =>
      session.all(
        "SELECT * FROM leases WHERE namespace = ? AND id > ? ORDER BY id LIMIT ?",
        namespace,
        textOf(after, "id"),
        limit,
      );
    for await (const rows of pages(context.database, page, options.signal)) {
      for (const row of rows) {
        const lease = leaseOf(row);
        if (matches(lease)) yield lease;
      }
    }
  }

  async add(id: string, resource: LeaseResource, options: CallOptions = {}): Promise<void> {
    const { context, namespace } = this.#scope;
    checkResource(id, resource, context.resources);
    await context.database.write((session) => addToLease(session, namespace, id, resource), options.signal);
  }

  async remove(id: string, resource: LeaseResource, options: CallOptions = {}): Promise<void> {
    const { context, namespace } = this.#scope;
    checkResource(id, resource, context.resources);
    await context.database.free((session) => {
      mustHaveLease(session, namespace, id);
      session.run(
        "DELETE FROM lease_resources WHERE namespace = ? AND lease = ? AND type = ? AND snapshotter = ? AND id = ?",
        namespace,
        id,
        ...columnsOf(resource),
      );
    }, options.signal);
  }

  async *resources(id: string, options: CallOptions = {}): AsyncGenerator<LeaseResource, void, undefined> {
    const { context, namespace } = this.#scope;
    const page = (session: Session, after: Row | undefined, limit: number): readonly Row[] => {
      // A lease that goes while it is read holds nothing more; that is no error.
      if (after === undefined) mustHaveLease(session, namespace, id);
      return session.all(
        `SELECT type, snapshotter, id FROM lease_resources
         WHERE namespace = ? AND lease = ? AND (type, snapshotter, id) > (?, ?, ?) ORDER BY 1, 2, 3 LIMIT ?`,
        namespace,
        id,
        textOf(after, "type"),
        textOf(after, "snapshotter"),
        textOf(after, "id"),
        limit,
      );
    };
    for await (const rows of pages(context.database, page, options.signal)) yield* rows.map(resourceOf);
  }
}

/** The label and the option say the same; the option wins. */
function withExpiry(id: string, options: CreateLeaseOptions): { labels: Labels; expiresAt: Date | undefined } {
  const { labels = {}, expiresAt } = options;
  if (expiresAt === undefined) {
    const text = labels[labelGcExpire];
    return { labels, expiresAt: text === undefined ? undefined : expiryOf(`lease ${id}`, labelGcExpire, text) };
  }
  if (Number.isNaN(expiresAt.getTime())) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `lease ${id}: expiresAt is not a valid date`);
  }
  return { labels: { ...labels, [labelGcExpire]: expiresAt.toISOString() }, expiresAt };
}

function leaseOf(row: Row): Lease {
  const expiresAt = row["expires_at"];
  return {
    id: textOf(row, "id"),
    labels: labelsOf(row),
    createdAt: new Date(Number(row["created_at"])),
    expiresAt: expiresAt === null || expiresAt === undefined ? undefined : new Date(Number(expiresAt)),
  };
}
