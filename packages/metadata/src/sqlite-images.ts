import type { CallOptions } from "@varve/content";
import { isDigest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { ImageInput, ImageRecord, ImageStore } from "@varve/images";
import type { Descriptor } from "@varve/oci";
import type { Database, Row, Session } from "./database.ts";
import { changeLabels, checkLabels, labelsOf } from "./labels.ts";
import type { Labels } from "./labels.ts";

const pageSize = 100;

export class SqliteImages implements ImageStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async get(name: string, options: CallOptions = {}): Promise<ImageRecord> {
    const row = await this.#database.read((session) => find(session, name), options.signal);
    if (row === undefined) throw notFound(name);
    return recordOf(row);
  }

  async *list(options: CallOptions = {}): AsyncGenerator<ImageRecord, void, undefined> {
    // Page by page, so that no transaction is open while the consumer works (U-MD.16).
    for (let after = ""; ;) {
      const rows = await this.#database.read(
        (session) => session.all("SELECT * FROM images WHERE name > ? ORDER BY name LIMIT ?", after, pageSize),
        options.signal,
      );
      for (const row of rows) {
        const record = recordOf(row);
        after = record.name;
        yield record;
      }
      if (rows.length < pageSize) return;
    }
  }

  create(image: ImageInput, options: CallOptions = {}): Promise<ImageRecord> {
    return this.#write(image, options, (session) => {
      if (find(session, image.name) !== undefined) {
        throw new CodedError("ERR_ALREADY_EXISTS", `image ${image.name}: already exists`);
      }
      return {};
    });
  }

  put(image: ImageInput, options: CallOptions = {}): Promise<ImageRecord> {
    return this.#write(image, options, (session) => labelsOf(find(session, image.name)));
  }

  async delete(name: string, options: CallOptions = {}): Promise<void> {
    const changed = await this.#database.write(
      (session) => session.run("DELETE FROM images WHERE name = ?", name),
      options.signal,
    );
    if (changed === 0) throw notFound(name);
  }

  async #write(image: ImageInput, options: CallOptions, before: (session: Session) => Labels): Promise<ImageRecord> {
    const { name, target } = image;
    const given = image.labels ?? {};
    checkImage(image);
    const row = await this.#database.write((session) => {
      const labels = changeLabels(before(session), given);
      const now = Date.now();
      session.run(
        `INSERT INTO images (name, target, labels, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (name) DO UPDATE
         SET target = excluded.target, labels = excluded.labels, updated_at = excluded.updated_at`,
        name,
        JSON.stringify(target),
        JSON.stringify(labels),
        now,
        now,
      );
      return find(session, name);
    }, options.signal);
    if (row === undefined) throw new CodedError("ERR_INTERNAL", `image ${name}: gone within its own transaction`);
    return recordOf(row);
  }
}

function find(session: Session, name: string): Row | undefined {
  return session.get("SELECT * FROM images WHERE name = ?", name);
}

// U-MD.9
function checkImage({ name, target, labels = {} }: ImageInput): void {
  const wrong = (why: string): CodedError => new CodedError("ERR_INVALID_ARGUMENT", `image ${name}: ${why}`);
  if (name === "") throw new CodedError("ERR_INVALID_ARGUMENT", "image: the name is empty");
  if (target.mediaType === "") throw wrong("the target has no media type");
  if (!isDigest(target.digest)) throw wrong("the target has no valid digest");
  if (!Number.isSafeInteger(target.size) || target.size <= 0) throw wrong("the target has no size");
  checkLabels(`image ${name}`, labels);
}

function recordOf(row: Row): ImageRecord {
  const target: Descriptor = JSON.parse(String(row["target"]));
  return {
    name: String(row["name"]),
    target,
    labels: labelsOf(row),
    createdAt: new Date(Number(row["created_at"])),
    updatedAt: new Date(Number(row["updated_at"])),
  };
}

function notFound(name: string): CodedError {
  return new CodedError("ERR_NOT_FOUND", `image ${name}: not found`);
}
