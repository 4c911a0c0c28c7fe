import { closeSync } from "node:fs";
import type {
  BlobInfo,
  BlobReader,
  CallOptions,
  ContentStore,
  Expected,
  Follower,
  IngestStatus,
  QuarantinedBlob,
  Quarantiner,
  StreamOptions,
  WalkOptions,
  Writer,
  WriterOptions,
} from "@varve/content";
import { ingestFilter } from "@varve/content";
import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import { openBlob } from "./blob-reader.ts";
import { blobInfo, deleteBlob, mustBeMissing, syncIfYoung, walkBlobs } from "./blobs.ts";
import type { Claim } from "./claims.ts";
import type { Syncer } from "./durability.ts";
import { about, withSubject } from "./errno.ts";
import { followIngest } from "./follow.ts";
import type { FollowHost } from "./follow.ts";
import { FsWriter } from "./fs-writer.ts";
import type { WriterHost } from "./fs-writer.ts";
import type { HashThread } from "./hash-thread.ts";
import { letGo, removeNote } from "./holder.ts";
import { abortIngest, ingestNotFound, listIngests, statusOf } from "./ingests.ts";
import { blobPath, ingestPaths } from "./layout.ts";
import type { IngestPaths, Layout } from "./layout.ts";
import { OpenThings } from "./open-things.ts";
import { discardQuarantined, listQuarantined, quarantineBlob } from "./quarantine.ts";
import { RecordFiles } from "./record-files.ts";
import { removeAll } from "./remove-all.ts";
import type { StallWatch } from "./stall-watch.ts";
import type { StoreLock } from "./store-lock.ts";
import { claimRef } from "./take-over.ts";
import { mustBePossible, mustBeRef } from "./verify.ts";
import { WakeUps } from "./wake-ups.ts";

export interface StoreParts {
  readonly layout: Layout;
  readonly lock: StoreLock;
  readonly syncer: Syncer;
  readonly stall: StallWatch;
  readonly thread: HashThread;
}

export class FsContentStore implements ContentStore, Follower, Quarantiner, WriterHost, FollowHost {
  readonly layout: Layout;
  readonly lock: StoreLock;
  readonly syncer: Syncer;
  readonly thread: HashThread;
  readonly stallMs: number;
  readonly records: RecordFiles;
  readonly wakeUps: WakeUps = new WakeUps();
  readonly stall: StallWatch;
  readonly #things: OpenThings = new OpenThings();
  #closed = false;

  constructor({ layout, lock, syncer, stall, thread }: StoreParts) {
    this.layout = layout;
    this.lock = lock;
    this.syncer = syncer;
    this.thread = thread;
    this.stallMs = stall.limitMs;
    this.stall = stall;
    this.records = new RecordFiles(layout);
  }

  open(descriptor: Descriptor, options: CallOptions = {}): Promise<BlobReader> {
    return this.#things.take(async () => {
      this.#begin(options);
      const path = blobPath(this.layout, descriptor.digest);
      const reader = await openBlob(descriptor.digest, path, (done) => this.#things.removeReader(done));
      this.#things.addReader(reader);
      return reader;
    });
  }

  writer(ref: string, options: WriterOptions = {}): Promise<Writer> {
    return this.#things.take(async () => {
      this.#begin(options);
      const { expected = {}, signal } = options;
      mustBeRef(ref);
      mustBePossible(`ingest ${ref}`, expected);
      try {
        mustBeMissing(this.layout, expected);
        // Again under the lock: the writer before us may have committed between this look and our claim.
        const wish = { ref, expected, mustBeMissing: () => mustBeMissing(this.layout, expected) };
        return await this.#writerFor(await claimRef(this, wish, signal), expected);
      } catch (error) {
        const { digest } = expected;
        if (digest !== undefined && hasCode(error, "ERR_ALREADY_EXISTS")) await syncIfYoung(this, digest);
        throw withSubject(error, `ingest ${ref}`);
      }
    });
  }

  async status(ref: string, options: CallOptions = {}): Promise<IngestStatus> {
    this.#begin(options);
    const status = this.#statusIn(ingestPaths(this.layout, ref));
    if (status?.ref !== ref) throw ingestNotFound(ref);
    return status;
  }

  async *statuses(options: WalkOptions = {}): AsyncGenerator<IngestStatus, void, undefined> {
    this.#begin(options);
    const passes = ingestFilter(options.filters);
    for await (const paths of listIngests(this.layout)) {
      this.#begin(options);
      const status = this.#statusIn(paths);
      if (status !== undefined && passes(status)) yield status;
    }
  }

  abort(ref: string, options: CallOptions = {}): Promise<void> {
    return this.#things.take(async () => {
      this.#begin(options);
      await about(`ingest ${ref}`, async () => {
        const trash = await this.lock.run(() => abortIngest(this.layout, ref), options.signal);
        const { record } = ingestPaths(this.layout, ref);
        this.#things.abort(record);
        this.wakeUps.wake(record);
        await removeAll(trash);
      });
    });
  }

  async info(digest: Digest, options: CallOptions = {}): Promise<BlobInfo> {
    this.#begin(options);
    return blobInfo(this.layout, digest);
  }

  async *walk(options: WalkOptions = {}): AsyncGenerator<BlobInfo, void, undefined> {
    this.#begin(options);
    yield* walkBlobs(this.layout, options, () => this.#begin(options));
  }

  async delete(digest: Digest, options: CallOptions = {}): Promise<void> {
    this.#begin(options);
    await about(`content ${digest}`, () => deleteBlob(this.layout, digest));
  }

  follow(ref: string, options: StreamOptions = {}): AsyncIterable<Uint8Array> {
    return followIngest(this, ref, ingestPaths(this.layout, ref), options);
  }

  async quarantine(digest: Digest, options: CallOptions = {}): Promise<QuarantinedBlob> {
    this.#begin(options);
    return about(`content ${digest}`, () => quarantineBlob(this.layout, this.syncer, digest));
  }

  async *quarantined(options: CallOptions = {}): AsyncGenerator<QuarantinedBlob, void, undefined> {
    this.#begin(options);
    for await (const blob of listQuarantined(this.layout)) {
      this.#begin(options);
      yield blob;
    }
  }

  async discard(id: string, options: CallOptions = {}): Promise<void> {
    this.#begin(options);
    await about(`quarantine ${id}`, () => discardQuarantined(this.layout, id));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#things.close();
      for (const note of this.#things.notes) await this.lock.run(() => removeNote(note));
    } finally {
      this.wakeUps.wakeAll();
      this.records.close();
      this.lock.close();
      await this.thread.leave();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  changed({ paths }: Claim): void {
    this.wakeUps.wake(paths.record);
  }

  /** @internal */
  noted(claim: Claim): void {
    this.#things.addNote(claim);
  }

  /** @internal */
  finished(writer: FsWriter): void {
    this.#things.removeWriter(writer);
  }

  /** @internal */
  writesHere({ record }: IngestPaths): boolean {
    return this.#things.writerOf(record) !== undefined;
  }

  /** @internal */
  mustBeOpen(): void {
    if (this.#closed) throw new CodedError("ERR_FAILED_PRECONDITION", `content store ${this.layout.root}: closed`);
  }

  async #writerFor(claim: Claim, expected: Expected): Promise<Writer> {
    try {
      const writer = new FsWriter(this, claim, expected);
      this.#things.addWriter(writer);
      return writer;
    } catch (error) {
      // What it has could not be read to be hashed again.
      closeSync(claim.fd);
      await this.lock.run(() => letGo(this.layout, claim, { safe: claim.record.safe, state: "free" }));
      if (claim.recordFile !== undefined) this.records.release(claim.recordFile);
      throw error;
    }
  }

  #begin(options: CallOptions): void {
    this.mustBeOpen();
    options.signal?.throwIfAborted();
  }

  #statusIn(paths: IngestPaths): IngestStatus | undefined {
    return this.#things.writerOf(paths.record)?.status() ?? statusOf(paths);
  }
}
