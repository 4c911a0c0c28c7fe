import type { CallOptions, WalkOptions } from "@varve/content";
import { CodedError } from "@varve/errors";
import { imageFilter } from "@varve/images";
import type {
  DeleteImageOptions,
  ImageChanges,
  ImageInput,
  ImageRecord,
  ImageStore,
  UpdateImageOptions,
} from "@varve/images";
import type { Row, Session } from "./database.ts";
import { changeImage, checkChanges, checkImage } from "./image-changes.ts";
import type { ImageContents } from "./image-changes.ts";
import { imageOf } from "./image-rows.ts";
import { changeLabels } from "./labels.ts";
import { addToLease } from "./lease-rows.ts";
import { useNamespace } from "./namespace-rows.ts";
import { pages, textOf } from "./pages.ts";
import type { Scope } from "./store-context.ts";

/** The images of one namespace. */
export class SqliteImages implements ImageStore {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async get(name: string, options: CallOptions = {}): Promise<ImageRecord> {
    const { database } = this.#scope.context;
    const image = await database.read((session) => this.#find(session, name), options.signal);
    if (image === undefined) throw notFound(name);
    return image;
  }

  async *list(options: WalkOptions = {}): AsyncGenerator<ImageRecord, void, undefined> {
    const matches = imageFilter(options.filters);
    const { context, namespace } = this.#scope;
    const page = (session: Session, after: Row | undefined, limit: number): readonly Row[] =>
      session.all(
        "SELECT * FROM images WHERE namespace = ? AND name > ? ORDER BY name LIMIT ?",
        namespace,
        textOf(after, "name"),
        limit,
      );
    for await (const rows of pages(context.database, page, options.signal)) {
      for (const row of rows) {
        const image = imageOf(row);
        if (matches(image)) yield image;
      }
    }
  }

  async create(image: ImageInput, options: CallOptions = {}): Promise<ImageRecord> {
    checkImage(image);
    const { name, target, labels = {} } = image;
    const created = await this.#scope.context.database.record((session) => {
      const old = this.#find(session, name);
      // A lease takes what exists already too, so this is no failure of the transaction.
      const saved = old === undefined ? this.#save(session, name, { target, labels }) : undefined;
      this.#lease(session, name);
      return saved;
    }, options.signal);
    if (created === undefined) throw new CodedError("ERR_ALREADY_EXISTS", `image ${name}: already exists`);
    return created;
  }

  async update(name: string, changes: ImageChanges, options: UpdateImageOptions = {}): Promise<ImageRecord> {
    const { replace = false, signal } = options;
    checkChanges(name, changes);
    return this.#scope.context.database.record((session) => {
      const old = this.#find(session, name);
      if (old === undefined) throw notFound(name);
      return this.#save(session, name, changeImage(old, changes, replace), old);
    }, signal);
  }

  async put(image: ImageInput, options: CallOptions = {}): Promise<ImageRecord> {
    checkImage(image);
    const { name, target } = image;
    return this.#scope.context.database.record((session) => {
      const old = this.#find(session, name);
      const labels = changeLabels(old?.labels ?? {}, image.labels ?? {});
      const saved = this.#save(session, name, { target, labels }, old);
      this.#lease(session, name);
      return saved;
    }, options.signal);
  }

  async delete(name: string, options: DeleteImageOptions = {}): Promise<void> {
    const { target, signal } = options;
    const { context, namespace } = this.#scope;
    await context.database.free((session) => {
      const image = this.#find(session, name);
      if (image === undefined) throw notFound(name);
      const actual = image.target.digest;
      if (target !== undefined && actual !== target) {
        throw new CodedError("ERR_NOT_FOUND", `image ${name}: its target is ${actual}, not ${target}`);
      }
      session.run("DELETE FROM images WHERE namespace = ? AND name = ?", namespace, name);
    }, signal);
  }

  #find(session: Session, name: string): ImageRecord | undefined {
    const sql = "SELECT * FROM images WHERE namespace = ? AND name = ?";
    const row = session.get(sql, this.#scope.namespace, name);
    return row && imageOf(row);
  }

  #save(session: Session, name: string, contents: ImageContents, old?: ImageRecord): ImageRecord {
    const { namespace } = this.#scope;
    const { target, labels } = contents;
    // Not before the last change, if the clock was set back (P08).
    const now = Math.max(Date.now(), old?.updatedAt.getTime() ?? 0);
    useNamespace(session, namespace);
    session.run(
      `INSERT INTO images (namespace, name, target, labels, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (namespace, name) DO UPDATE
       SET target = excluded.target, labels = excluded.labels, updated_at = excluded.updated_at`,
      namespace,
      name,
      JSON.stringify(target),
      JSON.stringify(labels),
      now,
      now,
    );
    return {
      name,
      target,
      labels: { ...labels },
      createdAt: old?.createdAt ?? new Date(now),
      updatedAt: new Date(now),
    };
  }

  #lease(session: Session, name: string): void {
    const { namespace, lease } = this.#scope;
    addToLease(session, namespace, lease, { type: "image", id: name });
  }
}

function notFound(name: string): CodedError {
  return new CodedError("ERR_NOT_FOUND", `image ${name}: not found`);
}
