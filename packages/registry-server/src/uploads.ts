import { randomUUID } from "node:crypto";
import type { Ingester, IngestManager, Writer } from "@varve/content";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { ProtocolError } from "./protocol-error.ts";

interface Session {
  readonly repository: string;
  readonly ref: string;
  offset: number;
  usedAt: number;
  busy: boolean;
}

export interface UploadLimits {
  /** Sessions open at the same time. */
  readonly maxUploads: number;
  /** Milliseconds after which a session that nobody uses is dropped. */
  readonly uploadIdleTimeout: number;
}

/** The body of one request of an upload, and where in the blob the client says it begins. */
export interface Chunk {
  readonly body: AsyncIterable<Uint8Array>;
  readonly start: number | undefined;
}

/** Uploads under way. Each is an ingest of the content store, under a name that only this server makes. */
export class Uploads {
  readonly #content: Ingester & IngestManager;
  readonly #limits: UploadLimits;
  readonly #sessions = new Map<string, Session>();

  constructor(content: Ingester & IngestManager, limits: UploadLimits) {
    this.#content = content;
    this.#limits = limits;
  }

  /** @throws ProtocolError TOOMANYREQUESTS */
  async open(repository: string): Promise<string> {
    const now = Date.now();
    for (const [id, session] of this.#sessions) {
      if (!session.busy && now - session.usedAt > this.#limits.uploadIdleTimeout) await this.#drop(id, session);
    }
    if (this.#sessions.size >= this.#limits.maxUploads) throw new ProtocolError("TOOMANYREQUESTS", "too many uploads");
    const id = randomUUID();
    this.#sessions.set(id, { repository, ref: `upload-${id}`, offset: 0, usedAt: now, busy: false });
    return id;
  }

  /** Bytes that are stored so far. */
  offset(id: string, repository: string): number {
    return this.#session(id, repository).offset;
  }

  /** Appends, and keeps what came if the client breaks off. */
  async append(id: string, repository: string, chunk: Chunk): Promise<number> {
    const session = this.#claim(id, repository, chunk);
    try {
      const writer = await this.#content.writer(session.ref);
      try {
        await write(writer, session, chunk);
      } finally {
        await writer.close();
      }
      return session.offset;
    } finally {
      session.busy = false;
      session.usedAt = Date.now();
    }
  }

  /** Appends the last bytes and stores the blob. After a wrong digest the upload is gone. */
  async finish(id: string, repository: string, chunk: Chunk, digest: Digest): Promise<void> {
    const session = this.#claim(id, repository, chunk);
    try {
      const writer = await this.#content.writer(session.ref);
      try {
        await write(writer, session, chunk);
        await commit(writer, digest);
        this.#sessions.delete(id);
      } finally {
        await writer.close();
      }
    } catch (error) {
      if (error instanceof ProtocolError) await this.#drop(id, session);
      throw error;
    } finally {
      session.busy = false;
      session.usedAt = Date.now();
    }
  }

  async cancel(id: string, repository: string): Promise<void> {
    await this.#drop(id, this.#session(id, repository));
  }

  /** Drops all uploads. */
  async close(): Promise<void> {
    for (const [id, session] of this.#sessions) await this.#drop(id, session);
  }

  #session(id: string, repository: string): Session {
    const session = this.#sessions.get(id);
    if (session?.repository === repository) return session;
    throw new ProtocolError("BLOB_UPLOAD_UNKNOWN", "no such upload");
  }

  #claim(id: string, repository: string, chunk: Chunk): Session {
    const session = this.#session(id, repository);
    if (session.busy) throw new ProtocolError("BLOB_UPLOAD_INVALID", "another request writes to this upload");
    if (chunk.start !== undefined && chunk.start !== session.offset) {
      throw new ProtocolError("RANGE_INVALID", "the chunk does not begin where the last one ended", {
        range: rangeHeader(session.offset),
      });
    }
    session.busy = true;
    return session;
  }

  async #drop(id: string, session: Session): Promise<void> {
    this.#sessions.delete(id);
    try {
      await this.#content.abort(session.ref);
    } catch (error) {
      if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
    }
  }
}

/** What is stored, as clients of the distribution API expect it: the last byte's position, `0-0` also for none. */
export function rangeHeader(offset: number): string {
  return `0-${Math.max(0, offset - 1)}`;
}

async function write(writer: Writer, session: Session, chunk: Chunk): Promise<void> {
  for await (const bytes of chunk.body) {
    await writer.write(bytes);
    session.offset += bytes.byteLength;
  }
}

async function commit(writer: Writer, digest: Digest): Promise<void> {
  try {
    await writer.commit({ digest });
  } catch (error) {
    if (hasCode(error, "ERR_ALREADY_EXISTS")) return;
    if (hasCode(error, "ERR_DIGEST_MISMATCH")) {
      throw new ProtocolError("DIGEST_INVALID", "the uploaded bytes have another digest");
    }
    throw error;
  }
}
