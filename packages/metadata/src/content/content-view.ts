import { blobFilter, ingestFilter } from "@varve/content";
import type {
  BlobInfo,
  BlobReader,
  CallOptions,
  ContentStore,
  IngestStatus,
  LabelChanges,
  Labeler,
  LabelOptions,
  WalkOptions,
  Writer,
  WriterOptions,
} from "@varve/content";
import { parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import type { Database, Row, Session } from "../database.ts";
import { changeLabels, checkLabels } from "../labels.ts";
import { pages, textOf } from "../pages.ts";
import type { Scope } from "../store-context.ts";
import { blobOf, findBlob, forgetBlob } from "./blob-rows.ts";
import { claimTime, endIngest } from "./ingest-rows.ts";
import { WriterOpener } from "./writer-opener.ts";

/** The blobs and ingests of one namespace: those of the store below that it has records of. */
export class ContentView implements ContentStore, Labeler {
  readonly #scope: Scope;
  readonly #store: ContentStore;
  readonly #database: Database;
  readonly #opener: WriterOpener;
  #closed = false;

  constructor(scope: Scope) {
    this.#scope = scope;
    this.#store = scope.context.content;
    this.#database = scope.context.database;
    this.#opener = new WriterOpener(scope);
  }

  async open(descriptor: Descriptor, options: CallOptions = {}): Promise<BlobReader> {
    await this.info(descriptor.digest, options);
    try {
      return await this.#store.open(descriptor, options);
    } catch (error) {
      if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
      // Collected between the two, or else lost.
      await this.info(descriptor.digest, options);
      throw new CodedError("ERR_DATA_LOSS", `content ${descriptor.digest}: its bytes are gone from the store`, {
        cause: error,
      });
    }
  }

  async writer(ref: string, options: WriterOptions = {}): Promise<Writer> {
    this.begin(options);
    if (ref === "") throw new CodedError("ERR_INVALID_ARGUMENT", "ingest: the ref is empty");
    if (options.expected?.digest !== undefined) parseDigest(options.expected.digest);
    const writer = await this.#opener.open(ref, options);
    if (!this.#closed) return writer;
    await writer.close();
    throw this.#closedError();
  }

  async status(ref: string, options: CallOptions = {}): Promise<IngestStatus> {
    this.begin(options);
    return { ...(await this.#store.status(this.below(ref), options)), ref };
  }

  async *statuses(options: WalkOptions = {}): AsyncGenerator<IngestStatus, void, undefined> {
    this.begin(options);
    const matches = ingestFilter(options.filters);
    const prefix = this.below("");
    for await (const below of this.#store.statuses({ signal: options.signal })) {
      this.begin(options);
      if (!below.ref.startsWith(prefix)) continue;
      const status = { ...below, ref: below.ref.slice(prefix.length) };
      if (matches(status)) yield status;
    }
  }

  async abort(ref: string, options: CallOptions = {}): Promise<void> {
    this.begin(options);
    // Another record than this one belongs to a writer that comes after the abort.
    const find = (session: Session): number | undefined => claimTime(session, this.#scope.namespace, ref);
    const claimedAt = await this.#database.read(find, options.signal);
    await this.#store.abort(this.below(ref), options);
    await this.#database.free((session) =>
      endIngest(session, { ...this.#scope, lease: undefined }, ref, { claimedAt }),
    );
  }

  async info(digest: Digest, options: CallOptions = {}): Promise<BlobInfo> {
    this.begin(options);
    parseDigest(digest);
    const info = await this.#database.read((session) => this.#find(session, digest), options.signal);
    if (info === undefined) throw notFound(digest);
    return info;
  }

  async *walk(options: WalkOptions = {}): AsyncGenerator<BlobInfo, void, undefined> {
    const matches = blobFilter(options.filters);
    const page = (session: Session, after: Row | undefined, limit: number): readonly Row[] => {
      this.begin(options);
      return session.all(
        "SELECT * FROM blobs WHERE namespace = ? AND digest > ? ORDER BY digest LIMIT ?",
        this.#scope.namespace,
        textOf(after, "digest"),
        limit,
      );
    };
    for await (const rows of pages(this.#database, page, options.signal)) {
      for (const row of rows) {
        const info = blobOf(row);
        if (matches(info)) yield info;
      }
    }
  }

  async delete(digest: Digest, options: CallOptions = {}): Promise<void> {
    this.begin(options);
    parseDigest(digest);
    const { namespace } = this.#scope;
    // The bytes may be another namespace's, or somebody may be reading them: they are the collector's.
    await this.#database.free((session) => {
      if (!forgetBlob(session, namespace, digest)) throw notFound(digest);
    }, options.signal);
  }

  async label(digest: Digest, changes: LabelChanges, options: LabelOptions = {}): Promise<BlobInfo> {
    this.begin(options);
    const { replace = false, signal } = options;
    parseDigest(digest);
    checkLabels(`content ${digest}`, changes);
    return this.#database.record((session) => {
      const old = this.#find(session, digest);
      if (old === undefined) throw notFound(digest);
      const labels = changeLabels(replace ? {} : old.labels, changes);
      const updatedAt = new Date(Math.max(Date.now(), old.updatedAt.getTime()));
      session.run(
        "UPDATE blobs SET labels = ?, updated_at = ? WHERE namespace = ? AND digest = ?",
        JSON.stringify(labels),
        updatedAt.getTime(),
        this.#scope.namespace,
        digest,
      );
      return { ...old, labels, updatedAt };
    }, signal);
  }

  /** Closes the writers that were opened here; what is below stays open. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#opener.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #find(session: Session, digest: Digest): BlobInfo | undefined {
    return findBlob(session, this.#scope.namespace, digest);
  }

  /** @internal How the store below calls an ingest of this namespace. A namespace has no slash in its name. */
  below(ref: string): string {
    return `${this.#scope.namespace}/${ref}`;
  }

  /** @internal */
  begin(options: CallOptions): void {
    if (this.#closed) throw this.#closedError();
    this.#database.mustBeOpen();
    options.signal?.throwIfAborted();
  }

  #closedError(): CodedError {
    return new CodedError("ERR_FAILED_PRECONDITION", `content of namespace ${this.#scope.namespace}: closed`);
  }
}

function notFound(digest: Digest): CodedError {
  return new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`);
}
