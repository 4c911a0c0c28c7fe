import { parseDigest } from "@varve/digest";
import type { Digest, DigestAlgorithm } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { HashListener, HashThread } from "./hash-thread.ts";
import type { HashFailure, HashNews } from "./hash-wire.ts";

/** So many bytes are worth a message. */
const tellEvery = 1024 * 1024;
/** A thread that dies again and again on one file is not started for it any more. */
const attempts = 3;

/**
 * The digest of a file that grows, computed in the hash thread, which follows the file. If the thread dies, the next one
 * begins again at the first byte.
 */
export class FileHash implements HashListener {
  readonly #thread: HashThread;
  readonly #fd: number;
  readonly #algorithm: DigestAlgorithm;
  readonly #job: number;
  readonly #lent: Map<number, () => void> = new Map();
  #lastPiece = 0;
  #told = 0;
  #hashed = 0;
  #deaths = 0;
  #size = 0;
  #asked: PromiseWithResolvers<Digest> | undefined;
  #dropped: PromiseWithResolvers<void> | undefined;
  #dead: CodedError | undefined;

  constructor(thread: HashThread, fd: number, algorithm: DigestAlgorithm) {
    this.#thread = thread;
    this.#fd = fd;
    this.#algorithm = algorithm;
    this.#job = thread.add(this);
    this.#open();
  }

  /** Bytes hashed, as far as is known: it grows while there is something to do. */
  get hashed(): number {
    return this.#hashed;
  }

  /** The file has `size` bytes now. */
  grown(size: number): void {
    this.#size = size;
    if (size - this.#told < tellEvery || this.#dead !== undefined) return;
    this.#told = size;
    this.#thread.order({ kind: "grown", job: this.#job, size });
  }

  /** The bytes that are being written at `position`. They must stay as they are until what is returned resolves. */
  offer(bytes: Uint8Array, position: number): Promise<void> | undefined {
    // The thread sees the same memory only if it is shared.
    if (this.#dead !== undefined || !(bytes.buffer instanceof SharedArrayBuffer)) return undefined;
    const lent = Promise.withResolvers<void>();
    // Whoever writes may wait for nothing but this, and the thread by itself does not keep the process alive.
    const release = this.#thread.hold();
    this.#lastPiece += 1;
    this.#lent.set(this.#lastPiece, () => {
      release();
      lent.resolve();
    });
    this.#thread.order({ kind: "piece", job: this.#job, piece: this.#lastPiece, bytes, position });
    return lent.promise;
  }

  /** The digest of all `size` bytes of the file. One at a time. */
  async digest(size: number): Promise<Digest> {
    if (this.#dead !== undefined) throw this.#dead;
    this.#size = size;
    this.#asked = Promise.withResolvers<Digest>();
    const release = this.#thread.hold();
    try {
      this.#ask();
      return await this.#asked.promise;
    } finally {
      this.#asked = undefined;
      release();
    }
  }

  /** Resolves when the thread does not touch the file any more. */
  async close(): Promise<void> {
    this.#asked?.reject(new CodedError("ERR_ABORTED", "ingest data: closed while it was hashed"));
    if (this.#dead === undefined && this.#thread.runs) {
      this.#dropped = Promise.withResolvers<void>();
      const release = this.#thread.hold();
      this.#thread.order({ kind: "drop", job: this.#job });
      await this.#dropped.promise;
      release();
    }
    this.#thread.remove(this.#job);
    this.#releaseAll();
  }

  onNews(news: HashNews): void {
    if (news.kind === "hashed") this.#hashed = news.size;
    else if (news.kind === "released") this.#release(news.piece);
    else if (news.kind === "digest") this.#asked?.resolve(parseDigest(`${this.#algorithm}:${news.hex}`));
    else if (news.kind === "failed") this.#asked?.reject(errorOf(news.failure));
    else this.#dropped?.resolve();
  }

  onDeath(cause: CodedError): void {
    this.#releaseAll();
    this.#dropped?.resolve();
    if (this.#dropped !== undefined || this.#dead !== undefined) return;
    this.#deaths += 1;
    if (this.#deaths >= attempts) {
      this.#dead = cause;
      this.#asked?.reject(cause);
      return;
    }
    this.#open();
    if (this.#asked !== undefined) this.#ask();
    else this.grown(this.#size);
  }

  #release(piece: number): void {
    this.#lent.get(piece)?.();
    this.#lent.delete(piece);
  }

  #releaseAll(): void {
    for (const piece of this.#lent.keys()) this.#release(piece);
  }

  #open(): void {
    this.#told = 0;
    this.#hashed = 0;
    this.#thread.order({ kind: "open", job: this.#job, fd: this.#fd, algorithm: this.#algorithm });
  }

  #ask(): void {
    this.#told = this.#size;
    this.#thread.order({ kind: "digest", job: this.#job, size: this.#size });
  }
}

function errorOf({ message, code, errno, syscall }: HashFailure): Error {
  if (code === undefined) return new CodedError("ERR_DATA_LOSS", message);
  return Object.assign(new Error(message), { code, errno, syscall });
}
