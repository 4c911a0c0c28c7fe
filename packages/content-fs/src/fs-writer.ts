import { renameSync, statSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import type { CallOptions, Expected, IngestStatus, Writer, WriterOptions } from "@varve/content";
import { createDigester, digestAlgorithm } from "@varve/digest";
import type { Digest, DigestAlgorithm, Digester } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { AppendFile } from "./append-file.ts";
import { dropBytes, holds, release, removeIngest } from "./claims.ts";
import type { Claim } from "./claims.ts";
import type { Syncer } from "./durability.ts";
import { orMissing } from "./errno.ts";
import { blobPath } from "./layout.ts";
import type { Layout } from "./layout.ts";
import { makeDirectory } from "./make-directory.ts";
import { readPieces } from "./open-file.ts";
import type { StoreLock } from "./store-lock.ts";

/** Bytes hashed in one go: well under a millisecond. */
const hashStep = 256 * 1024;
/** How often a writer looks whether another process has aborted its ingest. */
const watchEveryMs = 200;

/** What a writer needs of its store. */
export interface WriterHost {
  readonly layout: Layout;
  readonly lock: StoreLock;
  readonly syncer: Syncer;
  mustBeOpen(): void;
  /** Wakes those who follow the ingest. */
  changed(claim: Claim): void;
  /** The writer has let go of everything. */
  finished(writer: FsWriter): void;
}

type State = "open" | "aborted" | "closed";

export class FsWriter implements Writer {
  readonly claim: Claim;
  readonly #host: WriterHost;
  readonly #expected: Expected;
  #file: FileHandle;
  #append: AppendFile;
  #digester: Digester;
  #updatedAt: Date;
  #watchedAt = 0;
  #current: Promise<unknown> | undefined;
  #state: State = "open";
  #closing: Promise<void> | undefined;
  #ingestEnded = false;

  private constructor(host: WriterHost, claim: Claim, expected: Expected, file: FileHandle, updatedAt: Date) {
    this.#host = host;
    this.claim = claim;
    this.#expected = expected;
    this.#file = file;
    this.#updatedAt = updatedAt;
    this.#digester = createDigester(this.#algorithm());
    this.#append = this.#appendFrom(0);
  }

  /** Takes what the ingest has already: it is hashed again, as nothing else tells what is on disk (U-LCS.8). */
  static async resume(host: WriterHost, claim: Claim, options: WriterOptions): Promise<FsWriter> {
    const { expected = {}, signal } = options;
    const file = await open(claim.paths.data, "r+");
    try {
      const { mtime } = await file.stat();
      const writer = new FsWriter(host, claim, expected, file, mtime);
      for await (const piece of readPieces(file, hashStep)) {
        host.mustBeOpen();
        signal?.throwIfAborted();
        writer.#digester.update(piece);
      }
      writer.#append = writer.#appendFrom(writer.#digester.size);
      return writer;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  status(): IngestStatus {
    const { ref, startedAt, total, expected } = this.claim.record;
    return { ref, offset: this.#digester.size, total, expected, startedAt, updatedAt: this.#updatedAt };
  }

  digest(): Digest {
    return this.#digester.digest();
  }

  async write(chunk: Uint8Array, options: CallOptions = {}): Promise<void> {
    const { signal } = options;
    await this.#exclusively(async () => {
      signal?.throwIfAborted();
      for (let offset = 0; offset < chunk.byteLength; offset += hashStep) {
        if (offset > 0) signal?.throwIfAborted();
        const piece = chunk.subarray(offset, offset + hashStep);
        await this.#append.append(piece);
        this.#digester.update(piece);
      }
      await this.#watch();
      this.#mustBeOpen();
      this.#updatedAt = new Date();
    });
  }

  async truncate(): Promise<void> {
    await this.#exclusively(async () => {
      const { paths } = this.claim;
      await this.#append.stop();
      await this.#host.lock.run(() => {
        this.#mustHold();
        dropBytes(paths);
      });
      await this.#file.close();
      this.#file = await open(paths.data, "r+");
      this.#digester = createDigester(this.#algorithm());
      this.#append = this.#appendFrom(0);
      this.#updatedAt = new Date();
    });
    this.#host.changed(this.claim);
  }

  async commit(expected: Expected = {}, options: CallOptions = {}): Promise<Digest> {
    try {
      return await this.#exclusively(() => this.#commit(expected, options.signal));
    } finally {
      await this.close();
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Called when the ingest was aborted through this store. */
  abort(): void {
    if (this.#state === "open") this.#state = "aborted";
    this.#ingestEnded = true;
  }

  // U-LCS.10, in its order; a failure at any step but the last keeps the ingest.
  async #commit(expected: Expected, signal: AbortSignal | undefined): Promise<Digest> {
    signal?.throwIfAborted();
    await this.#append.sync();
    const digest = await this.#verify(
      { digest: expected.digest ?? this.#expected.digest, size: expected.size ?? this.#expected.size },
      signal,
    );
    const now = new Date();
    await this.#file.utimes(now, now);
    // The mode tells followers, in other processes too, that the bytes are verified and complete.
    await this.#file.chmod(0o444);
    if (!(await this.#publish(blobPath(this.#host.layout, digest)))) {
      throw new CodedError("ERR_ALREADY_EXISTS", `content ${digest}: already exists`);
    }
    return digest;
  }

  /** Whether the blob was new. A stored blob of another size is damaged, and replaced. */
  async #publish(target: string): Promise<boolean> {
    const { layout, lock, syncer } = this.#host;
    const { paths } = this.claim;
    const outcome = await lock.run(() => {
      this.#mustHold();
      const isNew = orMissing(() => statSync(target))?.size !== this.#digester.size;
      const madeDirectory = makeDirectory(dirname(target));
      if (isNew) renameSync(paths.data, target);
      return { isNew, madeDirectory };
    });
    this.#ingestEnded = true;
    try {
      // For a blob that exists too: whoever made it visible may not have come as far as this.
      await syncer.directory(dirname(target));
      if (outcome.madeDirectory) await syncer.directory(layout.blobs);
    } finally {
      await lock.run(() => {
        if (holds(this.claim)) removeIngest(paths);
      });
    }
    return outcome.isNew;
  }

  async #verify(expected: Expected, signal: AbortSignal | undefined): Promise<Digest> {
    const { ref } = this.claim.record;
    const { size } = this.#digester;
    if (expected.size !== undefined && size !== expected.size) {
      throw new CodedError("ERR_DIGEST_MISMATCH", `ingest ${ref}: ${size} bytes, expected ${expected.size}`);
    }
    const actual = await this.#digestAs(expected.digest, signal);
    if (expected.digest !== undefined && actual !== expected.digest) {
      throw new CodedError("ERR_DIGEST_MISMATCH", `ingest ${ref}: digest ${actual}, expected ${expected.digest}`);
    }
    return actual;
  }

  /** The running digest, or one of the whole file where another algorithm is asked for (U-LCS.9). */
  async #digestAs(wanted: Digest | undefined, signal: AbortSignal | undefined): Promise<Digest> {
    if (wanted === undefined || digestAlgorithm(wanted) === this.#algorithm()) return this.digest();
    const digester = createDigester(digestAlgorithm(wanted));
    for await (const piece of readPieces(this.#file, hashStep)) {
      signal?.throwIfAborted();
      digester.update(piece);
    }
    return digester.digest();
  }

  async #close(): Promise<void> {
    if (this.#state === "open") this.#state = "closed";
    await this.#current?.catch(() => {});
    try {
      // The bytes are kept for the next writer, so they should be true after a power cut too (U-LCS.13).
      if (!this.#ingestEnded) await this.#append.sync().catch(() => {});
      await this.#append.stop();
      if (!this.#ingestEnded) await this.#host.lock.run(() => this.#letGo());
    } finally {
      await this.#file.close();
      this.#host.finished(this);
      this.#host.changed(this.claim);
    }
  }

  /** Under the lock of the store. Bytes that a sync has failed for are not what a read says, and a second sync would lie. */
  #letGo(): void {
    if (this.#append.suspect && holds(this.claim)) removeIngest(this.claim.paths);
    else release(this.claim);
  }

  async #exclusively<T>(call: () => Promise<T>): Promise<T> {
    this.#mustBeOpen();
    if (this.#current !== undefined) throw this.#precondition("another call is under way");
    const current = call();
    this.#current = current;
    try {
      return await current;
    } finally {
      this.#current = undefined;
    }
  }

  #mustBeOpen(): void {
    if (this.#state === "aborted") throw this.#aborted();
    if (this.#state === "closed") throw this.#precondition("the writer is closed");
  }

  /** Under the lock of the store: nobody has taken the ingest away. */
  #mustHold(): void {
    if (holds(this.claim)) return;
    this.abort();
    throw this.#aborted();
  }

  /** Looks, now and then, whether another process has aborted the ingest: its file is unlinked then. */
  async #watch(): Promise<void> {
    const now = performance.now();
    if (now - this.#watchedAt < watchEveryMs) return;
    this.#watchedAt = now;
    const { nlink } = await this.#file.stat();
    if (nlink === 0) this.abort();
  }

  #algorithm(): DigestAlgorithm {
    const { digest } = this.#expected;
    return digest === undefined ? "sha256" : digestAlgorithm(digest);
  }

  #appendFrom(position: number): AppendFile {
    return new AppendFile(this.#file, position, this.#host.syncer, () => this.#host.changed(this.claim));
  }

  #precondition(why: string): CodedError {
    return new CodedError("ERR_FAILED_PRECONDITION", `ingest ${this.claim.record.ref}: ${why}`);
  }

  #aborted(): CodedError {
    return new CodedError("ERR_ABORTED", `ingest ${this.claim.record.ref}: aborted`);
  }
}
