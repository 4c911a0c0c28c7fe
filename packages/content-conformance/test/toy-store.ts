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
import { digestAlgorithm, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { ErrorCode } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import type { Flaw } from "./flaws.ts";
import { ToyReader } from "./toy-reader.ts";

interface Tape {
  chunks: Uint8Array[];
  state: "growing" | "committed" | "dropped";
}

interface Ingest {
  readonly ref: string;
  readonly startedAt: Date;
  total: number | undefined;
  expected: Digest | undefined;
  tape: Tape;
  holder: ToyWriter | undefined;
}

interface Blob {
  info: BlobInfo;
  readonly bytes: Uint8Array;
}

/** What stores opened at one place share. */
export class ToyPlace {
  readonly blobs: Map<string, Blob> = new Map();
  readonly ingests: Map<string, Ingest> = new Map();
  readonly tape: Tape = { chunks: [], state: "growing" };
}

function fail(code: ErrorCode, message: string): CodedError {
  return new CodedError(code, message);
}

/** A right content store, in memory and slow, with one switch for each way to be wrong. */
export class ToyStore implements ContentStore, Follower, Labeler {
  readonly place: ToyPlace;
  readonly flaw: Flaw | undefined;
  readonly writers: Set<ToyWriter> = new Set();
  #closed = false;

  constructor(place: ToyPlace, flaw: Flaw | undefined) {
    this.flaw = flaw;
    this.place = new ToyPlace();
    if (flaw !== "blobs-per-instance") Object.assign(this.place, { blobs: place.blobs });
    if (flaw !== "ingests-per-instance") Object.assign(this.place, { ingests: place.ingests, tape: place.tape });
  }

  begin(options: CallOptions = {}): void {
    if (this.#closed && this.flaw !== "close-does-nothing") throw fail("ERR_FAILED_PRECONDITION", "toy: closed");
    if (this.flaw !== "ignores-signals") options.signal?.throwIfAborted();
  }

  async open({ digest }: Descriptor, options?: CallOptions): Promise<BlobReader> {
    this.begin(options);
    return new ToyReader(this.#blob(digest).bytes, this);
  }

  async writer(ref: string, options: WriterOptions = {}): Promise<Writer> {
    this.begin(options);
    const { expected = {} } = options;
    if (ref === "" && this.flaw !== "takes-an-empty-ref") throw fail("ERR_INVALID_ARGUMENT", "the ref is empty");
    const { digest } = expected;
    if (digest !== undefined && this.place.blobs.has(digest) && this.flaw !== "writes-what-is-stored") {
      throw fail("ERR_ALREADY_EXISTS", `content ${digest}: already exists`);
    }
    const key = this.#key(ref);
    const old = this.place.ingests.get(key);
    const mine = old?.holder === undefined || this.writers.has(old.holder);
    const locked = old?.holder !== undefined && (mine || this.flaw !== "locks-per-instance");
    if (locked && this.flaw !== "never-locks") throw fail("ERR_UNAVAILABLE", `ingest ${ref}: held`);
    if (this.flaw === "locks-late") await nextTurn();
    const ingest = this.#ingestFor(key, ref, expected);
    const writer = new ToyWriter(this, ingest, key, expected);
    ingest.holder = writer;
    this.writers.add(writer);
    return writer;
  }

  async status(ref: string, options?: CallOptions): Promise<IngestStatus> {
    this.begin(options);
    return this.#statusOf(this.#ingest(ref));
  }

  async *statuses(options?: CallOptions): AsyncGenerator<IngestStatus> {
    this.begin(options);
    for (const ingest of this.place.ingests.values()) {
      if (this.flaw !== "lists-idle-ingests" || ingest.holder === undefined) yield this.#statusOf(ingest);
    }
  }

  async abort(ref: string, options?: CallOptions): Promise<void> {
    this.begin(options);
    if (this.flaw === "aborts-anything" && !this.place.ingests.has(ref)) return;
    const ingest = this.#ingest(ref);
    if (this.flaw === "aborts-its-own" && ingest.holder !== undefined && !this.writers.has(ingest.holder)) return;
    if (this.flaw === "abort-keeps-bytes") return;
    this.place.ingests.delete(this.#key(ref));
    ingest.tape.state = "dropped";
    if (this.flaw !== "abort-spares-writer") ingest.holder?.lose();
  }

  async info(digest: Digest, options?: CallOptions): Promise<BlobInfo> {
    this.begin(options);
    const { info } = this.#blob(digest);
    return this.flaw === "tells-no-times" ? { ...info, createdAt: new Date(0) } : info;
  }

  async *walk(options?: CallOptions): AsyncGenerator<BlobInfo> {
    this.begin(options);
    const infos = Array.from(this.place.blobs.values(), ({ info }) => info);
    yield* this.flaw === "walks-ten" ? infos.slice(0, 10) : infos;
  }

  async delete(digest: Digest, options?: CallOptions): Promise<void> {
    this.begin(options);
    if (this.flaw === "deletes-anything" && !this.place.blobs.has(digest)) return;
    const blob = this.#blob(digest);
    if (this.flaw === "labels-stay") leftLabels.set(digest, blob.info.labels);
    if (this.flaw !== "deletes-nothing") this.place.blobs.delete(digest);
  }

  async label(digest: Digest, changes: LabelChanges, options?: CallOptions): Promise<BlobInfo> {
    this.begin(this.flaw === "labels-ignore-signals" ? {} : options);
    if (this.flaw === "labels-anything" && !this.place.blobs.has(digest)) {
      return { digest, size: 0, createdAt: new Date(), updatedAt: new Date(), labels: {} };
    }
    const blob = this.#blob(digest);
    const tooLong = Object.entries(changes).some(([key, value]) => Buffer.byteLength(key + (value ?? "")) > 4096);
    if (tooLong && this.flaw !== "labels-unlimited") throw fail("ERR_INVALID_ARGUMENT", "a label is too long");
    const labels = new Map(this.flaw === "labels-replace" ? [] : Object.entries(blob.info.labels));
    if (this.flaw === "labels-race") await nextTurn();
    for (const [key, value] of Object.entries(changes)) {
      if (value === undefined) labels.delete(key);
      else if (this.flaw !== "labels-special-names" || key !== "__proto__") labels.set(key, value);
    }
    blob.info = { ...blob.info, labels: Object.fromEntries(labels) };
    return blob.info;
  }

  async *follow(ref: string, options: StreamOptions = {}): AsyncGenerator<Uint8Array> {
    this.begin(options);
    if (this.flaw === "follow-finds-anything" && !this.place.ingests.has(ref)) return;
    const ingest = this.#ingest(ref);
    const { tape } = ingest;
    const behind = (): number => (this.flaw === "follow-one-behind" && tape.state === "growing" ? 1 : 0);
    const chunks = (): Uint8Array[] => (this.flaw === "follow-blind-to-truncation" ? ingest.tape.chunks : tape.chunks);
    for (let index = this.flaw === "follow-from-now" ? tape.chunks.length : 0; ;) {
      if (this.flaw !== "follow-ignores-signals") options.signal?.throwIfAborted();
      const chunk = chunks()[index];
      if (this.flaw === "follow-stops-at-commit" && tape.state === "committed") return;
      if (chunk !== undefined && index < chunks().length - behind()) {
        index += 1;
        yield this.flaw === "follow-lends-chunks" ? chunk : chunk.slice();
      } else if (tape.state === "committed") {
        return;
      } else if (tape.state === "dropped" && this.flaw !== "follow-blind-to-truncation") {
        if (this.flaw === "follow-ends-on-abort") return;
        throw fail("ERR_ABORTED", `ingest ${ref}: dropped`);
      } else {
        if (this.flaw === "follow-ends-on-close" && ingest.holder === undefined) return;
        await sleep(1);
        this.begin();
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.flaw === "close-does-nothing") return;
    for (const writer of this.writers) await writer.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  publish(ingest: Ingest, key: string, digest: Digest, labels: Readonly<Record<string, string>>): void {
    const exists = this.place.blobs.has(digest);
    const keepsIngest = this.flaw === "commit-keeps-ingest" || (exists && this.flaw === "existing-keeps-ingest");
    if (!keepsIngest) this.place.ingests.delete(key);
    ingest.tape.state = exists && this.flaw === "follow-fails-on-existing" ? "dropped" : "committed";
    if (exists && this.flaw === "existing-is-success") return;
    if (exists) throw fail("ERR_ALREADY_EXISTS", `content ${digest}: already exists`);
    const bytes = Buffer.concat(ingest.tape.chunks);
    const time = new Date();
    const given = this.flaw === "commit-drops-labels" ? {} : labels;
    const left = this.flaw === "labels-stay" ? leftLabels.get(digest) : {};
    const info = { digest, size: bytes.byteLength, createdAt: time, updatedAt: time, labels: { ...left, ...given } };
    this.place.blobs.set(digest, { info, bytes: this.flaw === "loses-the-end" ? bytes.subarray(0, -1) : bytes });
  }

  #key(ref: string): string {
    return this.flaw === "folds-refs" ? ref.toLowerCase().normalize() : ref;
  }

  #ingestFor(key: string, ref: string, { size, digest }: Expected): Ingest {
    const old = this.place.ingests.get(key);
    const fits = size === undefined || (old?.total ?? size) === size || this.flaw === "ignores-other-totals";
    if (old !== undefined && !fits) old.tape.state = "dropped";
    const tape: Tape = this.flaw === "one-tape" ? this.place.tape : { chunks: [], state: "growing" };
    const fresh: Ingest = { ref, startedAt: new Date(), total: size, expected: digest, tape, holder: undefined };
    const ingest = old !== undefined && fits ? old : fresh;
    ingest.total = size ?? ingest.total;
    ingest.expected = digest ?? ingest.expected;
    this.place.ingests.set(key, ingest);
    return ingest;
  }

  #statusOf(ingest: Ingest): IngestStatus {
    const { ref, startedAt, total, expected, tape } = ingest;
    const offset = Buffer.concat(tape.chunks).byteLength;
    return { ref, offset, total, expected, startedAt, updatedAt: startedAt };
  }

  #ingest(ref: string): Ingest {
    const ingest = this.place.ingests.get(this.#key(ref));
    if (ingest === undefined) throw fail("ERR_NOT_FOUND", `ingest ${ref}: not found`);
    return ingest;
  }

  #blob(digest: Digest): Blob {
    const blob = this.place.blobs.get(digest) ?? this.#early(digest);
    if (blob === undefined) throw fail("ERR_NOT_FOUND", `content ${digest}: not found`);
    return blob;
  }

  #early(digest: Digest): Blob | undefined {
    if (this.flaw !== "shows-unfinished") return undefined;
    for (const { tape } of this.place.ingests.values()) {
      const bytes = Buffer.concat(tape.chunks);
      const time = new Date();
      const info = { digest, size: bytes.byteLength, createdAt: time, updatedAt: time, labels: {} };
      if (digestOf(bytes) === digest) return { bytes, info };
    }
    return undefined;
  }
}

const leftLabels = new Map<string, Readonly<Record<string, string>>>();

class ToyWriter implements Writer {
  readonly #store: ToyStore;
  readonly #ingest: Ingest;
  readonly #key: string;
  readonly #expected: Expected;
  readonly #first: IngestStatus;
  #state: "open" | "closed" | "lost" = "open";

  constructor(store: ToyStore, ingest: Ingest, key: string, expected: Expected) {
    this.#store = store;
    this.#ingest = ingest;
    this.#key = key;
    this.#expected = expected;
    this.#first = this.#now();
  }

  status(): IngestStatus {
    return this.#store.flaw === "status-stands-still" ? this.#first : this.#now();
  }

  digest(): Digest {
    const { digest } = this.#expected;
    const one = digest === undefined || this.#store.flaw === "knows-one-algorithm";
    return this.#digestBy(one ? undefined : digest);
  }

  async write(chunk: Uint8Array, options: CallOptions = {}): Promise<void> {
    this.#mustBeOpen();
    if (this.#store.flaw !== "signals-come-late") this.#store.begin(options);
    if (chunk.byteLength === 1 && this.#store.flaw === "loses-single-bytes") return;
    this.#ingest.tape.chunks.push(this.#store.flaw === "keeps-chunks" ? chunk : new Uint8Array(chunk));
    this.#store.begin(options);
  }

  async truncate(): Promise<void> {
    this.#mustBeOpen();
    if (this.#store.flaw === "truncates-nothing") return;
    this.#ingest.tape.state = "dropped";
    this.#ingest.tape = { chunks: [], state: "growing" };
  }

  async commit(expected: Expected = {}, options: CommitOptions = {}): Promise<Digest> {
    const { flaw } = this.#store;
    try {
      this.#mustBeOpen();
      this.#store.begin(options);
      const promised = flaw === "forgets-promises" ? {} : this.#expected;
      const { digest = promised.digest, size = promised.size } = expected;
      if (digest === undefined && flaw === "wants-a-digest") throw fail("ERR_INVALID_ARGUMENT", "no digest");
      const actual = flaw === "never-rehashes" ? this.digest() : this.#digestBy(digest ?? this.#expected.digest);
      const wrongSize = size !== undefined && size !== this.#now().offset && flaw !== "ignores-sizes";
      const wrongDigest = digest !== undefined && digest !== actual && flaw !== "ignores-digests";
      if (wrongSize || wrongDigest) {
        if (flaw === "follow-ends-on-failure") this.#ingest.tape.state = "committed";
        throw fail("ERR_DIGEST_MISMATCH", "not what was expected");
      }
      this.#store.publish(this.#ingest, this.#key, actual, options.labels ?? {});
      return actual;
    } finally {
      if (flaw !== "commit-leaves-open") await this.close();
    }
  }

  lose(): void {
    if (this.#state === "open") this.#state = "lost";
  }

  async close(): Promise<void> {
    const { flaw } = this.#store;
    const again = this.#state !== "open";
    if (this.#state === "open") this.#state = "closed";
    const current = this.#store.place.ingests.get(this.#key);
    const frees = flaw === "closing-frees-the-next" || (again && flaw === "second-close-frees");
    if (frees && current !== undefined) current.holder = undefined;
    if (this.#ingest.holder === this && flaw !== "close-keeps-lock") this.#ingest.holder = undefined;
    if (flaw === "close-drops-bytes") this.#ingest.tape.chunks = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #now(): IngestStatus {
    const { ref, startedAt, total, expected, tape } = this.#ingest;
    const offset = Buffer.concat(tape.chunks).byteLength;
    return { ref, offset, total, expected, startedAt, updatedAt: new Date() };
  }

  #digestBy(like: Digest | undefined): Digest {
    return digestOf(Buffer.concat(this.#ingest.tape.chunks), like === undefined ? "sha256" : digestAlgorithm(like));
  }

  #mustBeOpen(): void {
    this.#store.begin();
    if (this.#state === "lost") throw fail("ERR_ABORTED", "the ingest was aborted");
    if (this.#state === "closed") throw fail("ERR_FAILED_PRECONDITION", "the writer is closed");
  }
}
