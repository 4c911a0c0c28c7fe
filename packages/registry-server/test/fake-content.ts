import type { BlobInfo, BlobReader, CommitOptions, ContentStore, Expected, IngestStatus, Writer } from "@varve/content";
import { createDigester, digestAlgorithm, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";

/** A content store in memory with the little that the server needs; each ingest has one list of chunks. */
export function fakeContent(): ContentStore & {
  readonly blobs: Map<Digest, Buffer>;
  readonly ingests: Map<string, Buffer[]>;
} {
  const blobs = new Map<Digest, Buffer>();
  const ingests = new Map<string, Buffer[]>();
  const locked = new Set<string>();
  const find = (digest: Digest): Buffer => {
    const blob = blobs.get(digest);
    if (blob === undefined) throw new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`);
    return blob;
  };
  return {
    blobs,
    ingests,
    open: async ({ digest }): Promise<BlobReader> => readerOf(find(digest)),
    info: async (digest) => infoOf(digest, find(digest)),
    async *walk() {
      for (const [digest, blob] of blobs) yield infoOf(digest, blob);
    },
    delete: async (digest) => void blobs.delete(digest),
    async writer(ref, { expected } = {}): Promise<Writer> {
      if (expected?.digest !== undefined && blobs.has(expected.digest)) {
        throw new CodedError("ERR_ALREADY_EXISTS", `content ${expected.digest}: exists`);
      }
      if (locked.has(ref)) throw new CodedError("ERR_UNAVAILABLE", `ingest ${ref}: locked`);
      locked.add(ref);
      const chunks = ingests.get(ref) ?? [];
      ingests.set(ref, chunks);
      return writerOf(
        ref,
        chunks,
        blobs,
        () => ingests.delete(ref),
        () => locked.delete(ref),
      );
    },
    status: async (ref) => statusOf(ref, ingests.get(ref) ?? []),
    async *statuses() {
      for (const [ref, chunks] of ingests) yield statusOf(ref, chunks);
    },
    async abort(ref) {
      if (!ingests.delete(ref)) throw new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`);
    },
    close: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function infoOf(digest: Digest, blob: Buffer): BlobInfo {
  const now = new Date(0);
  return { digest, size: blob.byteLength, createdAt: now, updatedAt: now, labels: {} };
}

function statusOf(ref: string, chunks: readonly Buffer[]): IngestStatus {
  const offset = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  return { ref, offset, startedAt: new Date(0), updatedAt: new Date(0) };
}

function readerOf(blob: Buffer): BlobReader {
  return {
    size: blob.byteLength,
    read: async (target, position) => blob.copy(target, 0, position, position + target.byteLength),
    async *stream({ start = 0, end = blob.byteLength } = {}) {
      for (let at = start; at < end; at += 1000) yield blob.subarray(at, Math.min(end, at + 1000));
    },
    close: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function writerOf(
  ref: string,
  chunks: Buffer[],
  blobs: Map<Digest, Buffer>,
  forget: () => void,
  unlock: () => void,
): Writer {
  return {
    status: () => statusOf(ref, chunks),
    digest: async () => chunks.reduce((digester, chunk) => digester.update(chunk), createDigester()).digest(),
    write: async (chunk) => void chunks.push(Buffer.from(chunk)),
    truncate: async () => void chunks.splice(0),
    async commit(expected: Expected = {}, options: CommitOptions = {}) {
      options.signal?.throwIfAborted();
      unlock();
      const blob = Buffer.concat(chunks);
      const digest = digestOf(blob, expected.digest === undefined ? "sha256" : digestAlgorithm(expected.digest));
      if (expected.digest !== undefined && expected.digest !== digest) {
        throw new CodedError("ERR_DIGEST_MISMATCH", `content ${expected.digest}: got ${digest}`);
      }
      forget();
      if (blobs.has(digest)) throw new CodedError("ERR_ALREADY_EXISTS", `content ${digest}: exists`);
      blobs.set(digest, blob);
      return digest;
    },
    close: async () => unlock(),
    [Symbol.asyncDispose]: async () => unlock(),
  };
}
