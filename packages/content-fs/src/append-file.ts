import { CodedError } from "@varve/errors";
import { bufferSize, BufferPool } from "./buffer-pool.ts";
import type { DataFile } from "./data-file.ts";
import type { Syncer } from "./durability.ts";

/** So many are filled, written and hashed at a time. */
const maxBuffers = 4;
/** A file as small as this gets a small buffer, and is written at once when all of it is there. */
const smallSize = 16 * 1024;
/** Most files are no larger than this, and a full buffer would cost them more than all else. */
const firstSize = 256 * 1024;
/** As many bytes are written at once without waiting for more. */
const worthWriting = 512 * 1024;
/** How long fewer bytes may stay in memory. */
const lingerMs = 4;
const syncAheadEvery = 32 * 1024 * 1024;

export interface AppendEvents {
  /** Bytes have reached the file. */
  readonly onGrown: (size: number) => void;
  /** The bytes up to `size` are on disk. */
  readonly onSafe: (size: number) => void;
  /** Bytes are about to be written at `position`. They stay as they are until what is returned resolves. */
  readonly onPiece: (bytes: Uint8Array, position: number) => Promise<void> | undefined;
  /** The system could not bring bytes to disk: what it says about them later is not to be trusted. */
  readonly onSuspect: () => void;
}

/**
 * Appends to a file through a few buffers: one is filled while others are written and hashed, so that small chunks become
 * few writes, and the caller waits only when the disk or the hash is behind. What was appended reaches the file within milliseconds
 * without a further call.
 */
export class AppendFile {
  readonly #file: DataFile;
  readonly #syncer: Syncer;
  readonly #events: AppendEvents;
  #fill: Buffer | undefined;
  readonly #pool: BufferPool = new BufferPool(maxBuffers);
  #filled = 0;
  #position: number;
  #unsynced = 0;
  #writing: Promise<void> | undefined;
  #syncing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(file: DataFile, position: number, syncer: Syncer, events: AppendEvents) {
    this.#file = file;
    this.#position = position;
    this.#syncer = syncer;
    this.#events = events;
  }

  /** Takes the bytes over; they may be reused when the promise resolves. Fails if an earlier write has failed. */
  append(bytes: Uint8Array): Promise<void> | undefined {
    this.#throwFailure();
    if (this.#filled + bytes.byteLength > bufferSize || !this.#hasBuffer()) return this.#appendInParts(bytes);
    this.#take(bytes);
    return undefined;
  }

  /** Resolves when all bytes are in the file. */
  drain(): Promise<void> | undefined {
    if (this.#filled <= smallSize && this.#position === 0 && this.#writing === undefined) {
      this.#writeNow();
      this.#throwFailure();
      return undefined;
    }
    return this.#drain();
  }

  /**
   * Resolves when all bytes are on disk.
   *
   * @param options.isLast a commit follows, for which nothing need be noted
   */
  async sync({ isLast = false }: { readonly isLast?: boolean } = {}): Promise<void> {
    await this.drain();
    await this.#syncing;
    this.#throwFailure();
    const size = this.#position;
    try {
      await this.#syncer.data(this.#file.fd);
    } catch (error) {
      this.#suspect(error);
      throw error;
    }
    if (this.#syncer.enabled && !isLast) this.#events.onSafe(size);
  }

  /** Lets go of the file, without an error: what failed has been told or will be found. The file can be closed then. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#isStopped = true;
    this.#pool.stopWaiting();
    await this.#writing;
    await this.#syncing;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#isStopped) throw new CodedError("ERR_FAILED_PRECONDITION", "ingest data: closed");
  }

  async #appendInParts(bytes: Uint8Array): Promise<void> {
    for (let offset = 0; offset < bytes.byteLength;) {
      if (this.#filled === bufferSize) await this.#writing;
      if (!this.#hasBuffer()) await this.#pool.wait();
      this.#throwFailure();
      const part = bytes.subarray(offset, offset + bufferSize - this.#filled);
      this.#take(part);
      offset += part.byteLength;
    }
  }

  /** Takes as much as the buffer has room for. */
  #take(bytes: Uint8Array): void {
    const total = this.#filled + bytes.byteLength;
    const room = this.#fill?.byteLength ?? 0;
    if (room < total) {
      const grown = this.#bufferFor(total, room);
      if (this.#fill !== undefined) grown.set(this.#fill.subarray(0, this.#filled));
      this.#fill = grown;
    }
    this.#fill?.set(bytes, this.#filled);
    this.#filled = total;
    this.#kick();
  }

  #bufferFor(total: number, room: number): Buffer {
    if (total <= smallSize) return Buffer.allocUnsafe(Math.max(2 * room, total));
    const isFirst = this.#position === 0 && this.#writing === undefined;
    return isFirst && total <= firstSize ? Buffer.from(new SharedArrayBuffer(firstSize)) : this.#pool.take();
  }

  #hasBuffer(): boolean {
    return this.#fill !== undefined || !this.#pool.isEmpty;
  }

  #kick(): void {
    if (this.#filled >= worthWriting) this.#startWriting();
    else this.#timer ??= setTimeout(() => this.#startWriting(), lingerMs);
  }

  async #drain(): Promise<void> {
    while (!this.#isStopped && this.#failure === undefined && (this.#filled > 0 || this.#writing !== undefined)) {
      this.#startWriting();
      await this.#writing;
    }
    this.#throwFailure();
  }

  #writeNow(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isStopped || this.#failure !== undefined || this.#fill === undefined || this.#filled === 0) return;
    try {
      this.#file.writeNow(this.#fill.subarray(0, this.#filled), 0);
      this.#position = this.#filled;
      this.#filled = 0;
    } catch (error) {
      this.#failure = { error };
    }
    this.#events.onGrown(this.#position);
  }

  #startWriting(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const buffer = this.#fill;
    if (this.#writing !== undefined || buffer === undefined || this.#filled === 0) return;
    if (this.#isStopped || this.#failure !== undefined) return;
    const length = this.#filled;
    this.#fill = undefined;
    this.#filled = 0;
    this.#writing = this.#write(buffer, length);
  }

  /** Never rejects: the failure is kept for the next call. */
  async #write(buffer: Buffer, length: number): Promise<void> {
    const bytes = buffer.subarray(0, length);
    const hashed = this.#events.onPiece(bytes, this.#position);
    try {
      await this.#file.write(bytes, this.#position);
      this.#position += length;
      this.#syncAhead(length);
    } catch (error) {
      this.#failure ??= { error };
    }
    this.#writing = undefined;
    if (hashed === undefined) this.#pool.give(buffer);
    else void hashed.then(() => this.#pool.give(buffer));
    if (this.#filled > 0 && !this.#isStopped) this.#kick();
    this.#events.onGrown(this.#position);
  }

  #syncAhead(length: number): void {
    this.#unsynced += length;
    if (this.#unsynced < syncAheadEvery || this.#syncing !== undefined) return;
    const size = this.#position;
    const syncing = this.#syncer.ahead(this.#file.fd);
    if (syncing === undefined) return;
    this.#unsynced = 0;
    this.#syncing = syncing
      .then(
        () => this.#events.onSafe(size),
        (error: unknown) => this.#suspect(error),
      )
      .finally(() => {
        this.#syncing = undefined;
      });
  }

  #suspect(error: unknown): void {
    this.#failure ??= { error };
    this.#events.onSuspect();
  }
}
