import { fchmodSync } from "node:fs";
import type { Digest, DigestAlgorithm } from "@varve/digest";
import { AppendFile } from "./append-file.ts";
import type { Claim } from "./claims.ts";
import { DataFile } from "./data-file.ts";
import type { HashThread } from "./hash-thread.ts";
import { Heartbeat } from "./heartbeat.ts";
import { letGo } from "./holder.ts";
import { retryOpen } from "./open-retry.ts";
import type { PublishHost } from "./publish.ts";
import { removeAll } from "./remove-all.ts";
import { RunningHash } from "./running-hash.ts";
import { SafeMark } from "./safe-mark.ts";

/** Bytes hashed in one go: well under a millisecond. */
const hashStep = 256 * 1024;
/** A blob is as old as its commit; a time that is this near to it will do. */
const nearMs = 1000;

export interface IngestHost extends PublishHost {
  readonly thread: HashThread;
  readonly stallMs: number;
  /** Wakes those who follow the ingest. */
  changed(claim: Claim): void;
}

/** The data file of a claim and all that goes on with it: it is written, hashed, brought to disk and shown to be alive. */
export class OpenIngest {
  readonly claim: Claim;
  readonly #host: IngestHost;
  readonly #file: DataFile;
  readonly #append: AppendFile;
  readonly #hash: RunningHash;
  readonly #mark: SafeMark;
  readonly #heartbeat: Heartbeat;
  #stopBeating: (() => void) | undefined;
  #size: number;
  #updatedAt: number;

  /** Bytes that the ingest has already are hashed again, as nothing else tells what is on disk (U-LCS.8). */
  constructor(host: IngestHost, claim: Claim, algorithm: DigestAlgorithm) {
    this.#host = host;
    this.claim = claim;
    this.#size = claim.size;
    this.#updatedAt = claim.updatedAt.getTime();
    this.#file = new DataFile(claim.fd);
    this.#heartbeat = new Heartbeat(host.stallMs, () => this.#file.touch());
    this.#mark = new SafeMark(host, claim);
    this.#hash = new RunningHash(host.thread, claim, algorithm);
    this.#append = new AppendFile(this.#file, claim.size, host.syncer, {
      onGrown: (size) => {
        this.#hash.grown(size);
        host.changed(claim);
      },
      onPiece: (bytes, position) => this.#hash.offer(bytes, position),
      onSafe: (size) => this.#mark.advance(size),
      onSuspect: () => this.#mark.lose(),
    });
    this.#beatWhileHashing();
  }

  /** Bytes taken. */
  get size(): number {
    return this.#size;
  }

  get updatedAt(): Date {
    return new Date(this.#updatedAt);
  }

  async write(chunk: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    for (let offset = 0; offset < chunk.byteLength; offset += hashStep) {
      if (offset > 0) signal?.throwIfAborted();
      const piece = chunk.byteLength <= hashStep ? chunk : chunk.subarray(offset, offset + hashStep);
      const appending = this.#append.append(piece);
      if (appending !== undefined) await appending;
      this.#hash.update(piece);
      this.#size += piece.byteLength;
    }
    this.#updatedAt = Date.now();
    this.#beatWhileHashing();
  }

  /** The digest of the bytes so far, by the algorithm of the ingest or by another. */
  async digest(algorithm?: DigestAlgorithm): Promise<Digest> {
    const draining = this.#append.drain();
    if (draining !== undefined) await draining;
    if (!this.#hash.follows) return this.#hash.digest(this.#size, algorithm);
    return this.#heartbeat.during(() => this.#hash.digest(this.#size, algorithm));
  }

  /** The same, when the bytes are on disk too: both take long, and need different things. */
  async settle(algorithm?: DigestAlgorithm): Promise<Digest> {
    if (!this.#host.syncer.enabled) return this.digest(algorithm);
    return this.#heartbeat.during(async () => {
      await this.#append.drain();
      const [digest] = await Promise.all([this.digest(algorithm), this.#append.sync({ isLast: true })]);
      return digest;
    });
  }

  /** The bytes are verified. The mode tells that to followers, in other processes too. */
  seal(): void {
    const now = new Date();
    if (now.getTime() - this.#updatedAt > nearMs) this.#file.touch(now);
    fchmodSync(this.#file.fd, 0o444);
  }

  /** Gives the claim up and keeps the bytes, true after a power cut too (U-LCS.13), unless the disk failed to keep them. */
  async letGo(): Promise<void> {
    const { layout, lock, records } = this.#host;
    const { record } = this.claim;
    // What fails here has been told, or is found by the next writer.
    await this.#heartbeat.during(() => this.#append.sync()).catch(() => {});
    await this.#append.stop();
    await this.#mark.settle();
    const head = { safe: this.#mark.safe, state: this.#mark.isLost ? "lost" : "free" } as const;
    try {
      await removeAll(await retryOpen(() => lock.run(() => letGo(layout, this.claim, head))));
    } catch (error) {
      // The ref is free all the same, for this store at least.
      records.abandon(record.token);
      throw error;
    }
  }

  /**
   * Closes everything, in this order: a descriptor that is closed too early may be another file's already.
   *
   * @param isBlob the file has a name that it keeps
   */
  async close(isBlob: boolean): Promise<void> {
    this.#stopBeating?.();
    await this.#append.stop();
    if (this.#hash.follows) await this.#hash.close();
    await this.#mark.close();
    const { recordFile } = this.claim;
    if (recordFile !== undefined) this.#host.records.release(recordFile);
    if (isBlob) this.#file.closeNow();
    else await this.#file.close();
  }

  /** The hash thread works when nobody calls, too. */
  #beatWhileHashing(): void {
    if (!this.#hash.follows || this.#stopBeating !== undefined) return;
    let seen = this.#hash.hashed;
    this.#stopBeating = this.#heartbeat.start(() => {
      const isMoving = this.#hash.hashed !== seen;
      seen = this.#hash.hashed;
      return isMoving;
    });
  }
}
