import { randomUUID } from "node:crypto";
import type { Ingester, IngestManager, Writer } from "@varve/content";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { ProtocolError } from "./protocol-error.ts";
import type { Repositories } from "./repositories.ts";

interface Session {
  readonly repository: string;
  readonly ref: string;
  offset: number;
  usedAt: number;
  busy: boolean;
}

export interface UploadsOptions {
  readonly content: Ingester & IngestManager;
  readonly repositories: Repositories;
  /** Sessions open at the same time. */
  readonly maxUploads: number;
  /** Milliseconds after which a session that nobody uses is dropped. */
  readonly uploadIdleTimeout: number;
  /** Bytes. */
  readonly maxBlobSize: number;
  /** Aborts when the server closes. */
  readonly signal: AbortSignal;
}

/** The body of one request of an upload, what the client says of it. */
export interface Chunk {
  readonly body: AsyncIterable<Uint8Array>;
  /** Where in the blob it begins. */
  readonly start: number | undefined;
  /** Bytes in it. */
  readonly length: number | undefined;
}

/** Uploads under way. Each is an ingest of the content store, under a name that only this server makes. */
export class Uploads {
  readonly #options: UploadsOptions;
  readonly #sessions = new Map<string, Session>();
  readonly #sweeping: NodeJS.Timeout;

  constructor(options: UploadsOptions) {
    this.#options = options;
    const interval = Math.min(Math.max(options.uploadIdleTimeout / 2, 1000), 60_000);
    // What cannot be dropped now is tried again.
    this.#sweeping = setInterval(() => void this.#sweep().catch(() => {}), interval).unref();
  }

  /** @throws ProtocolError TOOMANYREQUESTS */
  async open(repository: string): Promise<string> {
    if (this.#sessions.size >= this.#options.maxUploads) await this.#sweep();
    if (this.#sessions.size >= this.#options.maxUploads) {
      throw new ProtocolError("TOOMANYREQUESTS", "too many uploads", { "retry-after": "10" });
    }
    const id = randomUUID();
    this.#sessions.set(id, { repository, ref: `upload-${id}`, offset: 0, usedAt: Date.now(), busy: false });
    return id;
  }

  /** @throws ProtocolError TOO_LARGE a blob must not be that long */
  mustFit(size: number | undefined): void {
    const { maxBlobSize } = this.#options;
    if ((size ?? 0) > maxBlobSize) throw new ProtocolError("TOO_LARGE", `the blob is longer than ${maxBlobSize} bytes`);
  }

  /** Bytes that are stored so far. */
  offset(id: string, repository: string): number {
    return this.#session(id, repository).offset;
  }

  /** Appends, and keeps what came if the client breaks off. */
  async append(id: string, repository: string, chunk: Chunk): Promise<number> {
    const session = this.#claim(id, repository, chunk);
    try {
      await this.#withWriter(session, (writer) => this.#write(writer, session, chunk));
      return session.offset;
    } catch (error) {
      if (error instanceof ProtocolError && error.status === 413) await this.#drop(id, session);
      throw error;
    } finally {
      session.busy = false;
      session.usedAt = Date.now();
    }
  }

  /** Appends the last bytes and stores the blob. After a wrong digest the upload is gone. */
  async finish(id: string, repository: string, chunk: Chunk, digest: Digest): Promise<void> {
    const session = this.#claim(id, repository, chunk);
    try {
      await this.#withWriter(session, async (writer) => {
        await this.#write(writer, session, chunk);
        await this.#commit(writer, repository, digest);
      });
      this.#sessions.delete(id);
    } catch (error) {
      if (error instanceof ProtocolError && error.status !== 416) await this.#drop(id, session);
      throw error;
    } finally {
      session.busy = false;
      session.usedAt = Date.now();
    }
  }

  async cancel(id: string, repository: string): Promise<void> {
    await this.#drop(id, this.#session(id, repository));
  }

  /** Drops an upload that may be gone already. */
  async discard(id: string): Promise<void> {
    const session = this.#sessions.get(id);
    if (session !== undefined) await this.#drop(id, session);
  }

  /** Drops all uploads. */
  async close(): Promise<void> {
    clearInterval(this.#sweeping);
    // What cannot be dropped is for the store to collect.
    await Promise.allSettled([...this.#sessions].map(([id, session]) => this.#drop(id, session)));
  }

  #session(id: string, repository: string): Session {
    const session = this.#sessions.get(id);
    if (session?.repository === repository) return session;
    throw uploadUnknown();
  }

  #claim(id: string, repository: string, chunk: Chunk): Session {
    const session = this.#session(id, repository);
    if (session.busy) throw new ProtocolError("BLOB_UPLOAD_INVALID", "another request writes to this upload");
    if (chunk.start !== undefined && chunk.start !== session.offset) throw outOfOrder(session);
    this.mustFit(session.offset + (chunk.length ?? 0));
    session.busy = true;
    return session;
  }

  async #withWriter(session: Session, use: (writer: Writer) => Promise<void>): Promise<void> {
    const writer = await this.#options.content.writer(session.ref);
    try {
      await use(writer);
    } catch (error) {
      // Somebody dropped the upload meanwhile.
      if (hasCode(error, "ERR_ABORTED")) throw uploadUnknown();
      throw error;
    } finally {
      await writer.close();
    }
  }

  async #write(writer: Writer, session: Session, chunk: Chunk): Promise<void> {
    let received = 0;
    for await (const bytes of chunk.body) {
      received += bytes.byteLength;
      if (chunk.length !== undefined && received > chunk.length) throw outOfOrder(session);
      this.mustFit(session.offset + bytes.byteLength);
      await writer.write(bytes);
      session.offset += bytes.byteLength;
    }
    if (chunk.length !== undefined && received < chunk.length) throw outOfOrder(session);
  }

  async #commit(writer: Writer, repository: string, digest: Digest): Promise<void> {
    const { repositories, signal } = this.#options;
    try {
      await writer.commit({ digest }, { labels: repositories.labelsFor(repository) });
    } catch (error) {
      if (hasCode(error, "ERR_DIGEST_MISMATCH")) {
        throw new ProtocolError("DIGEST_INVALID", "the uploaded bytes have another digest");
      }
      if (!hasCode(error, "ERR_ALREADY_EXISTS")) throw error;
    }
    await repositories.add(repository, digest, signal);
  }

  async #sweep(): Promise<void> {
    const before = Date.now() - this.#options.uploadIdleTimeout;
    for (const [id, session] of this.#sessions) {
      if (!session.busy && session.usedAt < before) await this.#drop(id, session);
    }
  }

  async #drop(id: string, session: Session): Promise<void> {
    this.#sessions.delete(id);
    try {
      await this.#options.content.abort(session.ref);
    } catch (error) {
      if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
    }
  }
}

/** What is stored, as clients of the distribution API expect it: the last byte's position, `0-0` also for none. */
export function rangeHeader(offset: number): string {
  return `0-${Math.max(0, offset - 1)}`;
}

function uploadUnknown(): ProtocolError {
  return new ProtocolError("BLOB_UPLOAD_UNKNOWN", "no such upload");
}

function outOfOrder({ offset }: Session): ProtocolError {
  const headers = { range: rangeHeader(offset) };
  return new ProtocolError(
    "CHUNK_INVALID",
    "the chunk does not begin where the last one ended, or is of another length",
    headers,
  );
}
