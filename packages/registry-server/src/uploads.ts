import { randomUUID } from "node:crypto";
import type { Ingester, IngestManager, Writer } from "@varve/content";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { createLimiter } from "@varve/locks";
import type { Limiter, Release } from "@varve/locks";
import { ProtocolError } from "./protocol-error.ts";
import type { Repositories } from "./repositories.ts";

/**
 * Milliseconds for which a request waits until the one before has ended. A client whose connection was cut asks at once where to go
 * on, while what it had sent is still being read.
 */
const turnPatience = 2000;

interface Session {
  readonly repository: string;
  readonly ref: string;
  /** One request at a time. */
  readonly turns: Limiter;
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
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
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
    const ref = `upload-${id}`;
    this.#sessions.set(id, { repository, ref, turns: createLimiter(1), offset: 0, usedAt: Date.now(), busy: false });
    return id;
  }

  /** @throws ProtocolError TOO_LARGE a blob must not be that long */
  mustFit(size: number | undefined): void {
    const { maxBlobSize } = this.#options;
    if ((size ?? 0) > maxBlobSize) throw new ProtocolError("TOO_LARGE", `the blob is longer than ${maxBlobSize} bytes`);
  }

  /** Bytes that are stored so far: all that were sent, if the request that sent them ends in time. */
  async offset(id: string, repository: string, signal: AbortSignal): Promise<number> {
    const session = this.#session(id, repository);
    (await this.#turn(session, signal))?.();
    return this.#session(id, repository).offset;
  }

  /** Appends, and keeps what came if the client breaks off. */
  append(id: string, repository: string, chunk: Chunk): Promise<number> {
    return this.#exclusively(id, repository, chunk, async (session) => {
      try {
        await this.#withWriter(session, (writer) => this.#write(writer, session, chunk));
        return session.offset;
      } catch (error) {
        if (error instanceof ProtocolError && error.status === 413) await this.#drop(id, session);
        throw error;
      }
    });
  }

  /** Appends the last bytes and stores the blob. After a wrong digest the upload is gone. */
  finish(id: string, repository: string, chunk: Chunk, digest: Digest): Promise<void> {
    return this.#exclusively(id, repository, chunk, async (session) => {
      try {
        await this.#withWriter(session, async (writer) => {
          await this.#write(writer, session, chunk);
          await this.#commit(writer, repository, digest);
        });
        this.#sessions.delete(id);
      } catch (error) {
        if (error instanceof ProtocolError && error.status !== 416) await this.#drop(id, session);
        throw error;
      }
    });
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

  /** Runs `write` when it is this chunk's turn, and it is the chunk that comes next. */
  async #exclusively<T>(
    id: string,
    repository: string,
    chunk: Chunk,
    write: (session: Session) => Promise<T>,
  ): Promise<T> {
    const session = this.#session(id, repository);
    const release = await this.#turn(session, chunk.signal);
    if (release === undefined) {
      throw new ProtocolError("TOOMANYREQUESTS", "another request writes to this upload", { "retry-after": "1" });
    }
    try {
      // The one before may have been the last.
      this.#session(id, repository);
      if (chunk.start !== undefined && chunk.start !== session.offset) throw outOfOrder(session);
      this.mustFit(session.offset + (chunk.length ?? 0));
      session.busy = true;
      return await write(session);
    } finally {
      session.busy = false;
      session.usedAt = Date.now();
      release();
    }
  }

  /** `undefined`: the request before takes too long. */
  async #turn(session: Session, signal: AbortSignal): Promise<Release | undefined> {
    const patience = AbortSignal.timeout(turnPatience);
    try {
      return await session.turns.acquire({ signal: AbortSignal.any([signal, patience]) });
    } catch (error) {
      signal.throwIfAborted();
      if (patience.aborted) return undefined;
      throw error;
    }
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
