import type { CallOptions, LabelChanges, WalkOptions } from "@varve/content";
import { CodedError } from "@varve/errors";
import { compileFilters, mapField } from "@varve/filters";
import type { Database, Row, Session } from "./database.ts";
import { changeLabels, checkLabels, labelsOf } from "./labels.ts";
import type { Labels } from "./labels.ts";
import { checkNamespace } from "./namespace-name.ts";
import type { NamespaceInfo, NamespaceStore } from "./namespace-store.ts";
import { pages, textOf } from "./pages.ts";

export class SqliteNamespaces implements NamespaceStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async create(
    name: string,
    options: CallOptions & { readonly labels?: Labels | undefined } = {},
  ): Promise<NamespaceInfo> {
    const { labels = {}, signal } = options;
    checkNamespace(name);
    checkLabels(`namespace ${name}`, labels);
    await this.#database.write((session) => {
      if (find(session, name) !== undefined) {
        throw new CodedError("ERR_ALREADY_EXISTS", `namespace ${name}: already exists`);
      }
      session.run("INSERT INTO namespaces (name, labels) VALUES (?, ?)", name, JSON.stringify(labels));
    }, signal);
    return { name, labels: { ...labels } };
  }

  async get(name: string, options: CallOptions = {}): Promise<NamespaceInfo> {
    const row = await this.#database.read((session) => find(session, name), options.signal);
    if (row === undefined) throw notFound(name);
    return infoOf(row);
  }

  async *list(options: WalkOptions = {}): AsyncGenerator<NamespaceInfo, void, undefined> {
    const matches = compileFilters<NamespaceInfo>(options.filters, ({ name, labels }, [field, ...rest]) => {
      if (field === "labels") return mapField(labels, rest);
      return field === "name" && rest.length === 0 ? name : undefined;
    });
    for await (const rows of pages(this.#database, page, options.signal)) {
      for (const row of rows) {
        const info = infoOf(row);
        if (matches(info)) yield info;
      }
    }
  }

  async label(name: string, changes: LabelChanges, options: CallOptions = {}): Promise<NamespaceInfo> {
    checkLabels(`namespace ${name}`, changes);
    return this.#database.write((session) => {
      const row = find(session, name);
      if (row === undefined) throw notFound(name);
      const labels = changeLabels(labelsOf(row), changes);
      session.run("UPDATE namespaces SET labels = ? WHERE name = ?", JSON.stringify(labels), name);
      return { name, labels };
    }, options.signal);
  }

  async delete(name: string, options: CallOptions = {}): Promise<void> {
    await this.#database.free((session) => {
      const left = contents(session, name);
      if (left.length > 0) {
        throw new CodedError("ERR_FAILED_PRECONDITION", `namespace ${name}: not empty: ${left.join(", ")}`);
      }
      if (session.run("DELETE FROM namespaces WHERE name = ?", name) === 0) throw notFound(name);
    }, options.signal);
  }
}

function page(session: Session, after: Row | undefined, limit: number): readonly Row[] {
  return session.all("SELECT * FROM namespaces WHERE name > ? ORDER BY name LIMIT ?", textOf(after, "name"), limit);
}

/** What is left in a namespace, for people to read (U-MD.11). */
function contents(session: Session, namespace: string): readonly string[] {
  const counted: [string, string][] = [
    ["image", "SELECT count(*) AS n FROM images WHERE namespace = ?"],
    ["blob", "SELECT count(*) AS n FROM blobs WHERE namespace = ?"],
    ["ingest", "SELECT count(*) AS n FROM ingests WHERE namespace = ?"],
    ["lease", "SELECT count(*) AS n FROM leases WHERE namespace = ?"],
    ["snapshot", "SELECT count(*) AS n FROM snapshots WHERE namespace = ?"],
  ];
  return counted.flatMap(([what, sql]) => {
    const count = Number(session.get(sql, namespace)?.["n"]);
    return count === 0 ? [] : [`${count} ${what}${count === 1 ? "" : "s"}`];
  });
}

function find(session: Session, name: string): Row | undefined {
  return session.get("SELECT * FROM namespaces WHERE name = ?", name);
}

function infoOf(row: Row): NamespaceInfo {
  return { name: textOf(row, "name"), labels: labelsOf(row) };
}

function notFound(name: string): CodedError {
  return new CodedError("ERR_NOT_FOUND", `namespace ${name}: not found`);
}
