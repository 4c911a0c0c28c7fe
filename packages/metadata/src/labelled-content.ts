import type {
  BlobInfo,
  BlobReader,
  CallOptions,
  CommitOptions,
  ContentStore,
  Expected,
  Follower,
  IngestStatus,
  LabelChanges,
  Labeler,
  StreamOptions,
  Writer,
  WriterOptions,
} from "@varve/content";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import type { Database, Session } from "./database.ts";
import { changeLabels, checkLabels, labelsOf } from "./labels.ts";
import type { Labels } from "./labels.ts";

/** Keeps the labels of another store's blobs. */
export class LabelledContent implements ContentStore, Labeler {
  readonly #store: ContentStore;
  readonly #database: Database;

  constructor(store: ContentStore, database: Database) {
    this.#store = store;
    this.#database = database;
  }

  open(descriptor: Descriptor, options?: CallOptions): Promise<BlobReader> {
    return this.#store.open(descriptor, options);
  }

  async writer(ref: string, options?: WriterOptions): Promise<Writer> {
    return new LabellingWriter(await this.#store.writer(ref, options), this.#database);
  }

  status(ref: string, options?: CallOptions): Promise<IngestStatus> {
    return this.#store.status(ref, options);
  }

  statuses(options?: CallOptions): AsyncIterable<IngestStatus> {
    return this.#store.statuses(options);
  }

  abort(ref: string, options?: CallOptions): Promise<void> {
    return this.#store.abort(ref, options);
  }

  async info(digest: Digest, options?: CallOptions): Promise<BlobInfo> {
    return this.#withLabels(await this.#store.info(digest, options), options);
  }

  async *walk(options?: CallOptions): AsyncGenerator<BlobInfo, void, undefined> {
    for await (const info of this.#store.walk(options)) yield await this.#withLabels(info, options);
  }

  async delete(digest: Digest, options?: CallOptions): Promise<void> {
    let missing: unknown;
    try {
      await this.#store.delete(digest, options);
    } catch (error) {
      if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
      missing = error;
    }
    // After the blob, and also if there was none: labels without a blob may be left by a crash between the two.
    await this.#database.write((session) => session.run("DELETE FROM blobs WHERE digest = ?", digest));
    if (missing !== undefined) throw missing;
  }

  async label(digest: Digest, changes: LabelChanges, options: CallOptions = {}): Promise<BlobInfo> {
    checkLabels(`content ${digest}`, changes);
    const info = await this.#store.info(digest, options);
    await this.#database.write((session) => {
      save(session, digest, changeLabels(labelsIn(session, digest), changes));
    }, options.signal);
    return this.#withLabels(info, options);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #withLabels(info: BlobInfo, options: CallOptions = {}): Promise<BlobInfo> {
    const row = await this.#database.read(
      (session) => session.get("SELECT labels, updated_at FROM blobs WHERE digest = ?", info.digest),
      options.signal,
    );
    if (row === undefined) return info;
    const updatedAt = new Date(Math.max(info.updatedAt.getTime(), Number(row["updated_at"])));
    return { ...info, updatedAt, labels: { ...info.labels, ...labelsOf(row) } };
  }
}

/** The same over a store that can be followed. */
export class FollowableContent extends LabelledContent implements Follower {
  readonly #follower: Follower;

  constructor(store: ContentStore & Follower, database: Database) {
    super(store, database);
    this.#follower = store;
  }

  follow(ref: string, options?: StreamOptions): AsyncIterable<Uint8Array> {
    return this.#follower.follow(ref, options);
  }
}

class LabellingWriter implements Writer {
  readonly #writer: Writer;
  readonly #database: Database;

  constructor(writer: Writer, database: Database) {
    this.#writer = writer;
    this.#database = database;
  }

  status(): IngestStatus {
    return this.#writer.status();
  }

  digest(): Digest {
    return this.#writer.digest();
  }

  write(chunk: Uint8Array, options?: CallOptions): Promise<void> {
    return this.#writer.write(chunk, options);
  }

  truncate(): Promise<void> {
    return this.#writer.truncate();
  }

  async commit(expected?: Expected, options: CommitOptions = {}): Promise<Digest> {
    const { labels = {}, signal } = options;
    let written: Digest;
    try {
      checkLabels(`ingest ${this.status().ref}`, labels);
      written = expected?.digest ?? this.status().expected ?? this.digest();
    } catch (error) {
      await this.close();
      throw error;
    }
    try {
      const digest = await this.#writer.commit(expected, { signal });
      await this.#save(digest, labels, true);
      return digest;
    } catch (error) {
      // The blob keeps the labels it has; those of this commit are wanted all the same.
      if (hasCode(error, "ERR_ALREADY_EXISTS")) await this.#save(written, labels, false);
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#writer.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** For a new blob whatever is stored under its digest is left from one that was deleted. */
  async #save(digest: Digest, labels: Labels, isNew: boolean): Promise<void> {
    const before = await this.#database.read((session) => labelsIn(session, digest));
    const unchanged = Object.keys(labels).length === 0 && (!isNew || Object.keys(before).length === 0);
    if (unchanged) return;
    await this.#database.write((session) => {
      save(session, digest, changeLabels(isNew ? {} : labelsIn(session, digest), labels));
    });
  }
}

function labelsIn(session: Session, digest: Digest): Labels {
  return labelsOf(session.get("SELECT labels FROM blobs WHERE digest = ?", digest));
}

function save(session: Session, digest: Digest, labels: Labels): void {
  session.run(
    `INSERT INTO blobs (digest, labels, updated_at) VALUES (?, ?, ?)
     ON CONFLICT (digest) DO UPDATE SET labels = excluded.labels, updated_at = excluded.updated_at`,
    digest,
    JSON.stringify(labels),
    Date.now(),
  );
}
