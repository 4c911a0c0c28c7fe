import { EventEmitter, once } from "node:events";
import type {
  BlobInfo,
  BlobReader,
  CommitOptions,
  ContentStore,
  Expected,
  Follower,
  IngestStatus,
  Labeler,
  Writer,
} from "@varve/content";
import { createDigester, digestAlgorithm, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";

interface Ingest {
  readonly chunks: Buffer[];
  state: "open" | "committed" | "aborted";
  locked: boolean;
}

export type FakeContent = ContentStore & {
  readonly blobs: Map<Digest, Buffer>;
  readonly labels: Map<Digest, Record<string, string>>;
  /** The chunks of each. */
  readonly ingests: Map<string, Buffer[]>;
};

/** A content store in memory with the little that the server needs; each ingest has one list of chunks. */
export function plainContent(): FakeContent {
  return fake().store;
}

/** The same, with labels, and readable while it is written. */
export function fakeContent(): FakeContent & Labeler & Follower {
  const { store, find, ingests, changed } = fake();
  return {
    ...store,
    async label(digest, changes) {
      find(digest);
      const labels = { ...store.labels.get(digest) };
      for (const [key, value] of Object.entries(changes)) {
        if (value === undefined) delete labels[key];
        else labels[key] = value;
      }
      store.labels.set(digest, labels);
      return store.info(digest);
    },
    async *follow(ref, { signal } = {}) {
      const ingest = ingests.get(ref);
      if (ingest === undefined) throw new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`);
      for (let index = 0; ; index += 1) {
        while (index >= ingest.chunks.length) {
          if (ingest.state === "committed") return;
          if (ingest.state === "aborted") throw new CodedError("ERR_ABORTED", `ingest ${ref}: aborted`);
          await once(changed, "change", signal === undefined ? {} : { signal }).catch((error: unknown) => {
            signal?.throwIfAborted();
            throw error;
          });
        }
        signal?.throwIfAborted();
        yield ingest.chunks[index] ?? Buffer.of();
      }
    },
  };
}

interface Fake {
  readonly store: FakeContent;
  readonly ingests: Map<string, Ingest>;
  readonly changed: EventEmitter;
  readonly find: (digest: Digest) => Buffer;
}

function fake(): Fake {
  const blobs = new Map<Digest, Buffer>();
  const labels = new Map<Digest, Record<string, string>>();
  const running = new Map<string, Ingest>();
  const ingests = new Map<string, Buffer[]>();
  const changed = new EventEmitter().setMaxListeners(0);
  const find = (digest: Digest): Buffer => {
    const blob = blobs.get(digest);
    if (blob === undefined) throw new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`);
    return blob;
  };
  const infoOf = (digest: Digest): BlobInfo => {
    const now = new Date(0);
    return { digest, size: find(digest).byteLength, createdAt: now, updatedAt: now, labels: labels.get(digest) ?? {} };
  };
  const end = (ref: string, state: Ingest["state"]): void => {
    const ingest = running.get(ref);
    if (ingest === undefined) throw new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`);
    ingest.state = state;
    running.delete(ref);
    ingests.delete(ref);
    changed.emit("change");
  };
  const store: FakeContent = {
    blobs,
    labels,
    ingests,
    open: async ({ digest }): Promise<BlobReader> => readerOf(find(digest)),
    info: async (digest) => infoOf(digest),
    async *walk() {
      for (const digest of blobs.keys()) yield infoOf(digest);
    },
    delete: async (digest) => void blobs.delete(digest),
    async writer(ref, { expected } = {}): Promise<Writer> {
      if (expected?.digest !== undefined && blobs.has(expected.digest)) {
        throw new CodedError("ERR_ALREADY_EXISTS", `content ${expected.digest}: exists`);
      }
      const ingest = running.get(ref) ?? { chunks: [], state: "open", locked: false };
      if (ingest.locked) throw new CodedError("ERR_UNAVAILABLE", `ingest ${ref}: locked`);
      ingest.locked = true;
      running.set(ref, ingest);
      ingests.set(ref, ingest.chunks);
      return writerOf(ref, ingest, changed, (digest, blob, given) => {
        end(ref, "committed");
        if (blobs.has(digest)) throw new CodedError("ERR_ALREADY_EXISTS", `content ${digest}: exists`);
        blobs.set(digest, blob);
        labels.set(digest, { ...given });
      });
    },
    status: async (ref) => statusOf(ref, ingests.get(ref) ?? []),
    async *statuses() {
      for (const [ref, chunks] of ingests) yield statusOf(ref, chunks);
    },
    abort: async (ref) => end(ref, "aborted"),
    close: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
  return { store, ingests: running, changed, find };
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
  ingest: Ingest,
  changed: EventEmitter,
  store: (digest: Digest, blob: Buffer, labels: Readonly<Record<string, string>> | undefined) => void,
): Writer {
  const { chunks } = ingest;
  const unlock = (): void => {
    ingest.locked = false;
  };
  return {
    status: () => statusOf(ref, chunks),
    digest: async () => chunks.reduce((digester, chunk) => digester.update(chunk), createDigester()).digest(),
    async write(chunk) {
      if (ingest.state === "aborted") throw new CodedError("ERR_ABORTED", `ingest ${ref}: aborted`);
      chunks.push(Buffer.from(chunk));
      changed.emit("change");
    },
    truncate: async () => void chunks.splice(0),
    async commit(expected: Expected = {}, options: CommitOptions = {}) {
      options.signal?.throwIfAborted();
      unlock();
      const blob = Buffer.concat(chunks);
      const digest = digestOf(blob, expected.digest === undefined ? "sha256" : digestAlgorithm(expected.digest));
      if (expected.digest !== undefined && expected.digest !== digest) {
        throw new CodedError("ERR_DIGEST_MISMATCH", `content ${expected.digest}: got ${digest}`);
      }
      store(digest, blob, options.labels);
      return digest;
    },
    close: async () => unlock(),
    [Symbol.asyncDispose]: async () => unlock(),
  };
}
