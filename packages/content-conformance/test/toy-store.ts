import { blobFilter, ingestFilter } from "@varve/content";
import type {
  BlobInfo,
  BlobReader,
  CallOptions,
  ContentStore,
  Expected,
  Follower,
  IngestStatus,
  LabelChanges,
  Labeler,
  LabelOptions,
  QuarantinedBlob,
  Quarantiner,
  StreamOptions,
  WalkOptions,
  Writer,
  WriterOptions,
} from "@varve/content";
import type { OpenOptions } from "@varve/content-conformance";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { Descriptor } from "@varve/oci";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import type { Flaw } from "./flaws.ts";
import { fail, mustBeDigest, statusOf, ToyPlace } from "./toy-place.ts";
import type { Blob, Ingest, Tape } from "./toy-place.ts";
import { ToyReader } from "./toy-reader.ts";
import { ToyWriter } from "./toy-writer.ts";

/** A right content store, in memory and slow, with one switch for each way to be wrong. */
export class ToyStore implements ContentStore, Follower, Labeler, Quarantiner {
  readonly place: ToyPlace;
  readonly flaw: Flaw | undefined;
  readonly writers: Set<ToyWriter> = new Set();
  readonly #stallMs: number;
  #closed = false;

  constructor(place: ToyPlace, flaw: Flaw | undefined, { stallMs = Infinity }: OpenOptions = {}) {
    this.flaw = flaw;
    this.#stallMs = stallMs;
    this.place = new ToyPlace();
    const { blobs, ingests, leftLabels, quarantined, tape } = place;
    Object.assign(this.place, { leftLabels });
    if (flaw !== "blobs-per-instance") Object.assign(this.place, { blobs });
    if (flaw !== "ingests-per-instance") Object.assign(this.place, { ingests, tape });
    if (flaw !== "quarantine-per-instance") Object.assign(this.place, { quarantined });
  }

  begin(options: CallOptions = {}): void {
    if (this.#closed && this.flaw !== "close-does-nothing") throw fail("ERR_FAILED_PRECONDITION", "toy: closed");
    if (this.flaw !== "ignores-signals") options.signal?.throwIfAborted();
  }

  async open({ digest, data }: Descriptor, options?: CallOptions): Promise<BlobReader> {
    this.begin(options);
    if (data !== undefined && this.flaw === "trusts-descriptors") {
      const bytes = Buffer.from(data, "base64");
      return new ToyReader({ bytes, info: { ...this.#describe(digest, bytes), digest } }, this);
    }
    return new ToyReader(this.#blob(digest), this);
  }

  async writer(ref: string, options: WriterOptions = {}): Promise<Writer> {
    this.begin(options);
    const { expected = {} } = options;
    if (ref === "" && this.flaw !== "takes-an-empty-ref") throw fail("ERR_INVALID_ARGUMENT", "the ref is empty");
    const { digest } = expected;
    if (digest !== undefined && this.flaw !== "takes-any-digest") mustBeDigest(digest);
    if (digest !== undefined && this.place.blobs.has(digest) && this.flaw !== "writes-what-is-stored") {
      throw fail("ERR_ALREADY_EXISTS", `content ${digest}: already exists`);
    }
    const key = this.#key(ref);
    const old = this.place.ingests.get(key);
    this.#mustBeFree(ref, old);
    if (this.flaw === "locks-late" || (old !== undefined && this.flaw === "takes-over-late")) await nextTurn();
    const ingest = this.#ingestFor(key, ref, expected);
    const writer = new ToyWriter(this, ingest, key, expected);
    ingest.holder = writer;
    ingest.progressAt = performance.now();
    this.writers.add(writer);
    return writer;
  }

  async status(ref: string, options?: CallOptions): Promise<IngestStatus> {
    this.begin(options);
    return statusOf(this.#ingest(ref));
  }

  async *statuses(options: WalkOptions = {}): AsyncGenerator<IngestStatus> {
    this.begin(options);
    const passes = ingestFilter(this.flaw === "lists-all-ingests" ? [] : options.filters);
    for (const ingest of this.place.ingests.values()) {
      const shown = this.flaw !== "lists-idle-ingests" || ingest.holder === undefined;
      const status = statusOf(ingest);
      if (shown && passes(status)) yield status;
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

  async *walk({ filters, signal }: WalkOptions = {}): AsyncGenerator<BlobInfo> {
    this.begin({ signal });
    const unread = this.flaw === "reads-filters-late";
    const passes = blobFilter(unread || this.flaw === "walks-everything" ? [] : filters);
    const infos = Array.from(this.place.blobs.values(), ({ info }) => info);
    if (this.flaw === "walks-by-index") {
      for (let index = 0; index < this.place.blobs.size; index += 1)
        yield* [...this.place.blobs.values()].slice(index, index + 1).map(({ info }) => info);
      return;
    }
    for (const info of this.flaw === "walks-ten" ? infos.slice(0, 10) : infos) {
      const seen = this.flaw === "filters-without-labels" ? { ...info, labels: {} } : info;
      if (passes(seen) && (!unread || filters?.[0] !== "")) yield info;
    }
    if (unread) blobFilter(filters);
  }

  async delete(digest: Digest, options?: CallOptions): Promise<void> {
    this.begin(options);
    if (this.flaw === "deletes-anything" && !this.place.blobs.has(digest)) return;
    const blob = this.#blob(digest);
    if (this.flaw === "deletes-late") await nextTurn();
    if (this.flaw === "labels-stay") this.place.leftLabels.set(digest, blob.info.labels);
    if (this.flaw === "deleting-cuts-readers") blob.bytes = blob.bytes.subarray(0, 200_000);
    if (this.flaw !== "deletes-nothing") this.place.blobs.delete(digest);
  }

  async label(digest: Digest, changes: LabelChanges, options: LabelOptions = {}): Promise<BlobInfo> {
    this.begin(this.flaw === "labels-ignore-signals" ? {} : options);
    if (this.flaw === "labels-anything" && !this.place.blobs.has(digest)) {
      return this.#describe(digest, new Uint8Array());
    }
    const blob = this.#blob(digest);
    if (this.flaw !== "labels-unlimited") mustBeShort(changes);
    const replaces = this.flaw === "labels-replace" || (options.replace === true && this.flaw !== "labels-merge");
    const labels = new Map(replaces ? [] : Object.entries(blob.info.labels));
    if (this.flaw === "labels-race") await nextTurn();
    for (const [key, value] of Object.entries(changes)) {
      if (value === undefined) labels.delete(key);
      else if (this.flaw !== "labels-special-names" || key !== "__proto__") labels.set(key, value);
    }
    const updatedAt = this.flaw === "labels-keep-time" ? blob.info.updatedAt : new Date();
    blob.info = { ...blob.info, labels: Object.fromEntries(labels), updatedAt };
    return blob.info;
  }

  async quarantine(digest: Digest, options?: CallOptions): Promise<QuarantinedBlob> {
    this.begin(this.flaw === "quarantine-ignores-signals" ? {} : options);
    const { flaw } = this;
    const found = flaw === "quarantines-anything" ? this.place.blobs.get(digest) : this.#blob(digest);
    if (flaw === "quarantines-late") await nextTurn();
    const entry = {
      id: `${digest.slice(-8)}-${this.place.quarantined.size}`,
      digest,
      size: found?.bytes.byteLength ?? 0,
      quarantinedAt: new Date(),
    };
    this.place.quarantined.set(flaw === "quarantines-once" ? digest : entry.id, entry);
    if (flaw !== "quarantines-a-copy") this.place.blobs.delete(digest);
    if (flaw === "quarantine-cuts-readers" && found !== undefined) found.bytes = new Uint8Array(found.bytes.byteLength);
    return entry;
  }

  async *quarantined(options?: CallOptions): AsyncGenerator<QuarantinedBlob> {
    this.begin(options);
    yield* Array.from(this.place.quarantined.values());
  }

  async discard(id: string, options?: CallOptions): Promise<void> {
    this.begin(options);
    if (!this.place.quarantined.delete(id)) throw fail("ERR_NOT_FOUND", `quarantined ${id}: not found`);
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
    if (this.flaw !== "commit-takes-any-label") mustBeShort(labels);
    const exists = this.place.blobs.has(digest);
    const keepsIngest = this.flaw === "commit-keeps-ingest" || (exists && this.flaw === "existing-keeps-ingest");
    if (!keepsIngest) this.place.ingests.delete(key);
    ingest.tape.state = exists && this.flaw === "follow-fails-on-existing" ? "dropped" : "committed";
    if (exists && this.flaw === "existing-is-success") return;
    const code = this.flaw === "existing-is-a-precondition" ? "ERR_FAILED_PRECONDITION" : "ERR_ALREADY_EXISTS";
    if (exists) throw fail(code, `content ${digest}: already exists`);
    const bytes = Buffer.concat(ingest.tape.chunks);
    const given = this.flaw === "commit-drops-labels" ? {} : labels;
    const left = this.flaw === "labels-stay" ? this.place.leftLabels.get(digest) : {};
    const info = { ...this.#describe(digest, bytes), labels: { ...left, ...given } };
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
    const now = new Date();
    const fresh: Ingest = {
      ref,
      startedAt: now,
      updatedAt: now,
      progressAt: 0,
      commits: false,
      total: size,
      expected: digest,
      tape,
      holder: undefined,
    };
    const ingest = old !== undefined && fits ? old : fresh;
    ingest.total = size ?? ingest.total;
    ingest.expected = digest ?? ingest.expected;
    this.place.ingests.set(key, ingest);
    return ingest;
  }

  /** A holder that makes no progress is replaced. */
  #mustBeFree(ref: string, old: Ingest | undefined): void {
    const { flaw } = this;
    if (old?.holder === undefined || flaw === "never-locks") return;
    const isMine = this.writers.has(old.holder);
    if (flaw === "locks-per-instance" && !isMine) return;
    if (old.commits || performance.now() - old.progressAt < this.#stallMs) {
      throw fail("ERR_UNAVAILABLE", `ingest ${ref}: held since ${old.startedAt.toISOString()}`);
    }
    const spares = flaw === "takeover-spares-writer" || (flaw === "takeover-spares-others" && !isMine);
    if (!spares) old.holder.lose();
    if (flaw === "takes-over-afresh") old.tape.chunks = [];
    if (flaw === "takeover-drops-tape") {
      old.tape.state = "dropped";
      old.tape = { chunks: old.tape.chunks, state: "growing" };
    }
  }

  #ingest(ref: string): Ingest {
    const ingest = this.place.ingests.get(this.#key(ref));
    if (ingest === undefined) throw fail("ERR_NOT_FOUND", `ingest ${ref}: not found`);
    return ingest;
  }

  #blob(digest: Digest): Blob {
    if (this.flaw !== "takes-any-digest") mustBeDigest(digest);
    const blob = this.place.blobs.get(digest) ?? this.#early(digest);
    if (blob === undefined) throw fail("ERR_NOT_FOUND", `content ${digest}: not found`);
    return blob;
  }

  #early(digest: Digest): Blob | undefined {
    if (this.flaw !== "shows-unfinished") return undefined;
    for (const { tape } of this.place.ingests.values()) {
      const bytes = Buffer.concat(tape.chunks);
      if (digestOf(bytes) === digest) return { bytes, info: this.#describe(digest, bytes) };
    }
    return undefined;
  }

  #describe(digest: Digest, bytes: Uint8Array): BlobInfo {
    const now = new Date();
    return { digest, size: bytes.byteLength, createdAt: now, updatedAt: now, labels: {} };
  }
}

function mustBeShort(labels: LabelChanges): void {
  const tooLong = Object.entries(labels).some(([key, value]) => Buffer.byteLength(key + (value ?? "")) > 4096);
  if (tooLong) throw fail("ERR_INVALID_ARGUMENT", "a label is too long");
}
