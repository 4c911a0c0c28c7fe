import type { CallOptions, CommitOptions, Expected, IngestStatus, Writer } from "@varve/content";
import { parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import { checkLabels } from "../labels.ts";
import { useNamespace } from "../namespace-rows.ts";
import type { Scope } from "../store-context.ts";
import { forgetBlob, saveBlob } from "./blob-rows.ts";
import { endIngest, expectBlob, takeRef } from "./ingest-rows.ts";
import type { Hold } from "./ingest-rows.ts";
import { untilRemoved } from "./removals.ts";

export interface RecordingWriterOptions {
  /** The ref as the namespace calls it. */
  readonly ref: string;
  readonly expected: Expected;
  /** As it was when the ingest was opened. */
  readonly hold: Hold;
  readonly onClose: () => void;
}

/** Writes an ingest of the store below, and records the blob it becomes. */
export class RecordingWriter implements Writer {
  readonly #scope: Scope;
  readonly #writer: Writer;
  readonly #options: RecordingWriterOptions;
  #hold: Hold;
  #closed = false;

  constructor(scope: Scope, writer: Writer, options: RecordingWriterOptions) {
    this.#scope = scope;
    this.#writer = writer;
    this.#options = options;
    this.#hold = options.hold;
  }

  status(): IngestStatus {
    const { ref, expected } = this.#options;
    const status = this.#writer.status();
    return { ...status, ref, expected: status.expected ?? expected.digest };
  }

  digest(): Promise<Digest> {
    return this.#writer.digest();
  }

  write(chunk: Uint8Array, options?: CallOptions): Promise<void> {
    return this.#writer.write(chunk, options);
  }

  truncate(): Promise<void> {
    return this.#writer.truncate();
  }

  async commit(expected: Expected = {}, options: CommitOptions = {}): Promise<Digest> {
    try {
      return await this.#commit(expected, options);
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#options.onClose();
    await this.#writer.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #commit(expected: Expected, options: CommitOptions): Promise<Digest> {
    const { labels = {}, signal } = options;
    const { ref } = this.#options;
    if (this.#closed) throw new CodedError("ERR_FAILED_PRECONDITION", `ingest ${ref}: the writer is closed`);
    signal?.throwIfAborted();
    if (expected.digest !== undefined) parseDigest(expected.digest);
    checkLabels(`ingest ${ref}`, labels);
    const digest = expected.digest ?? this.#options.expected.digest ?? (await this.#writer.digest());
    const size = this.#writer.status().offset;
    await this.#keep(digest, signal);
    const { claimedAt } = this.#hold;
    try {
      await this.#writer.commit({ digest, size: expected.size ?? this.#options.expected.size }, { signal });
    } catch (error) {
      // The store below has the blob, of whomever; whether this namespace has it, is for its records to say.
      if (!hasCode(error, "ERR_ALREADY_EXISTS")) throw error;
    }
    const { context, namespace } = this.#scope;
    // Without the signal: there is no way back from here.
    const { isNew, wasKept } = await context.database.record((session) => {
      useNamespace(session, namespace);
      const ended = endIngest(session, this.#scope, ref, { claimedAt, digest });
      return { wasKept: ended, isNew: saveBlob(session, namespace, { digest, size, labels }) };
    });
    if (isNew && !wasKept) await this.#mustBeThere(digest);
    if (!isNew) throw new CodedError("ERR_ALREADY_EXISTS", `content ${digest}: already exists`);
    return digest;
  }

  /**
   * The collector has taken the ingest for abandoned, because no lease held it, and perhaps the blob as well. Now that the
   * blob has a record it takes it no more; what it had begun before is waited for.
   *
   * @throws ERR_UNAVAILABLE the blob has been collected
   */
  async #mustBeThere(digest: Digest): Promise<void> {
    const { context, namespace } = this.#scope;
    try {
      await untilRemoved(context.database, digest, undefined);
      await context.content.info(digest);
    } catch (error) {
      if (!hasCode(error, "ERR_NOT_FOUND") && !hasCode(error, "ERR_UNAVAILABLE")) throw error;
      await context.database.write((session) => forgetBlob(session, namespace, digest));
      const why = "was collected while it was committed: write it again, under a lease";
      throw new CodedError("ERR_UNAVAILABLE", `content ${digest}: ${why}`, { cause: error });
    }
  }

  /**
   * From the record of the ingest on nobody starts to take a blob of this digest away. So once those who had started
   * before are done, what is committed below stays until it has a record of its own.
   */
  async #keep(digest: Digest, signal: AbortSignal | undefined): Promise<void> {
    const { database } = this.#scope.context;
    const removing =
      digest === this.#options.expected.digest ? this.#hold.removing : await this.#expect(digest, signal);
    if (removing) await untilRemoved(database, digest, signal);
  }

  async #expect(digest: Digest, signal: AbortSignal | undefined): Promise<boolean> {
    const { context, namespace } = this.#scope;
    const { ref } = this.#options;
    const known = await context.database.note((session) => expectBlob(session, namespace, ref, digest), signal);
    if (known !== undefined) return known;
    // Aborted; or else who had the ref before has taken our record for its own.
    await context.content.status(`${namespace}/${ref}`, { signal }).catch((error: unknown) => {
      throw hasCode(error, "ERR_NOT_FOUND") ? new CodedError("ERR_ABORTED", `ingest ${ref}: aborted`) : error;
    });
    this.#hold = await context.database.note((session) => takeRef(session, this.#scope, ref, digest), signal);
    return this.#hold.removing;
  }
}
