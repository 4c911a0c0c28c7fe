import type { CallOptions, CommitOptions, Expected, IngestStatus, Writer } from "@varve/content";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { checkLabels } from "../labels.ts";
import { useNamespace } from "../namespace-rows.ts";
import type { Scope } from "../store-context.ts";
import { saveBlob } from "./blob-rows.ts";
import { endIngest } from "./ingest-rows.ts";

export interface SharedWriterOptions {
  readonly ref: string;
  readonly digest: Digest;
  readonly size: number;
  /** Of the record that keeps the blob; absent if there is one that is somebody else's. */
  readonly claimedAt: number | undefined;
  /** Starts an ingest of this namespace's own. */
  readonly openPrivate: () => Promise<Writer>;
  /** The bytes of the blob. */
  readonly bytes: () => AsyncIterable<Uint8Array>;
  readonly onClose: () => void;
}

/**
 * Stands at the end of a blob that another namespace has (U-MD.3): a commit needs no bytes. What is written beyond makes
 * another blob, and begins with a copy (U-MD.5).
 */
export class SharedWriter implements Writer {
  readonly #scope: Scope;
  readonly #options: SharedWriterOptions;
  readonly #startedAt: Date = new Date();
  #private: Writer | undefined;
  #closed = false;

  constructor(scope: Scope, options: SharedWriterOptions) {
    this.#scope = scope;
    this.#options = options;
  }

  status(): IngestStatus {
    if (this.#private !== undefined) return this.#private.status();
    const { ref, digest, size } = this.#options;
    const times = { startedAt: this.#startedAt, updatedAt: this.#startedAt };
    return { ref, offset: size, total: size, expected: digest, ...times };
  }

  async digest(): Promise<Digest> {
    return this.#private === undefined ? this.#options.digest : this.#private.digest();
  }

  async write(chunk: Uint8Array, options: CallOptions = {}): Promise<void> {
    this.#mustBeOpen();
    options.signal?.throwIfAborted();
    if (this.#private === undefined && chunk.byteLength === 0) return;
    const writer = this.#private ?? (await this.#copy(options.signal));
    await writer.write(chunk, options);
  }

  async truncate(): Promise<void> {
    this.#mustBeOpen();
    const writer = this.#private ?? (await this.#options.openPrivate());
    this.#private = writer;
    await writer.truncate();
  }

  async commit(expected: Expected = {}, options: CommitOptions = {}): Promise<Digest> {
    try {
      this.#mustBeOpen();
      const { labels = {}, signal } = options;
      signal?.throwIfAborted();
      const { ref, digest, size } = this.#options;
      if (this.#private === undefined && (expected.size ?? size) === size && (expected.digest ?? digest) === digest) {
        checkLabels(`ingest ${ref}`, labels);
        return await this.#share(labels, signal);
      }
      // Another digest may be one of the same bytes by another algorithm.
      return await (this.#private ?? (await this.#copy(signal))).commit(expected, options);
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.onClose();
    if (this.#private === undefined) await this.#forget();
    else await this.#private.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #share(labels: Readonly<Record<string, string>>, signal: AbortSignal | undefined): Promise<Digest> {
    const { ref, digest, size, claimedAt } = this.#options;
    const { context, namespace } = this.#scope;
    const outcome = await context.database.write((session) => {
      // Either of the two has kept the blob all the time.
      const kept =
        session.get("SELECT 1 FROM blobs WHERE digest = ? LIMIT 1", digest) ??
        session.get(
          "SELECT 1 FROM ingests WHERE namespace = ? AND ref = ? AND created_at = ?",
          namespace,
          ref,
          claimedAt ?? -1,
        );
      if (kept === undefined) return "gone";
      useNamespace(session, namespace);
      endIngest(session, this.#scope, ref, { claimedAt, digest });
      return saveBlob(session, namespace, { digest, size, labels }) ? "new" : "known";
    }, signal);
    if (outcome === "gone") {
      throw new CodedError("ERR_UNAVAILABLE", `content ${digest}: was collected meanwhile: try again`);
    }
    this.#closed = true;
    this.#options.onClose();
    if (outcome === "known") throw new CodedError("ERR_ALREADY_EXISTS", `content ${digest}: already exists`);
    return digest;
  }

  async #copy(signal: AbortSignal | undefined): Promise<Writer> {
    const writer = await this.#options.openPrivate();
    try {
      if (writer.status().offset > 0) await writer.truncate();
      for await (const chunk of this.#options.bytes()) await writer.write(chunk, { signal });
    } catch (error) {
      await writer.close();
      throw error;
    }
    this.#private = writer;
    return writer;
  }

  async #forget(): Promise<void> {
    const { ref, claimedAt } = this.#options;
    if (claimedAt === undefined) return;
    const { context } = this.#scope;
    await context.database.free((session) => endIngest(session, this.#scope, ref, { claimedAt }));
  }

  #mustBeOpen(): void {
    if (this.#closed) {
      throw new CodedError("ERR_FAILED_PRECONDITION", `ingest ${this.#options.ref}: the writer is closed`);
    }
  }
}
