import type { FileHandle } from "node:fs/promises";
import { CodedError } from "@varve/errors";
import type { Syncer } from "./durability.ts";

const bufferSize = 256 * 1024;
/** As many bytes are written at once without waiting for more. */
const worthWriting = 128 * 1024;
/** How long fewer bytes may stay in memory. */
const lingerMs = 4;
const syncAheadEvery = 32 * 1024 * 1024;

/**
 * Appends to a file through two buffers: one is filled while the other is written, so that small chunks become few
 * writes, and the caller waits only when the disk is behind. What was appended reaches the file within milliseconds
 * without a further call.
 */
export class AppendFile {
  readonly #file: FileHandle;
  readonly #syncer: Syncer;
  readonly #onGrown: () => void;
  #fill: Buffer | undefined;
  #spare: Buffer | undefined;
  #filled = 0;
  #position: number;
  #unsynced = 0;
  #writing: Promise<void> | undefined;
  #syncing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failure: { readonly error: unknown } | undefined;
  /** Set if the system could not bring bytes to disk: what it says about them later is not to be trusted. */
  #suspect = false;

  constructor(file: FileHandle, position: number, syncer: Syncer, onGrown: () => void) {
    this.#file = file;
    this.#position = position;
    this.#syncer = syncer;
    this.#onGrown = onGrown;
  }

  get suspect(): boolean {
    return this.#suspect;
  }

  /** Takes the bytes over; they may be reused when the promise resolves. Fails if an earlier write has failed. */
  async append(bytes: Uint8Array): Promise<void> {
    let offset = 0;
    while (offset < bytes.byteLength) {
      if (this.#filled === bufferSize) await this.#settle();
      this.#throwFailure();
      const buffer = (this.#fill ??= Buffer.allocUnsafeSlow(bufferSize));
      const count = Math.min(bufferSize - this.#filled, bytes.byteLength - offset);
      buffer.set(bytes.subarray(offset, offset + count), this.#filled);
      this.#filled += count;
      offset += count;
      this.#kick();
    }
  }

  /** Resolves when all bytes are in the file. */
  async drain(): Promise<void> {
    while (this.#failure === undefined && (this.#filled > 0 || this.#writing !== undefined)) {
      this.#startWriting();
      await this.#settle();
    }
    this.#throwFailure();
  }

  /** Resolves when all bytes are on disk. */
  async sync(): Promise<void> {
    await this.drain();
    await this.#syncing;
    this.#throwFailure();
    try {
      await this.#syncer.data(this.#file);
    } catch (error) {
      this.#suspect = true;
      this.#failure ??= { error };
      throw error;
    }
  }

  /** Lets go of the file, without an error: what failed has been told or will be found. The file can be closed then. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#failure ??= { error: new CodedError("ERR_FAILED_PRECONDITION", "writer: closed") };
    await this.#settle();
    await this.#syncing;
  }

  async #settle(): Promise<void> {
    await this.#writing;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #kick(): void {
    if (this.#filled >= worthWriting) this.#startWriting();
    else this.#timer ??= setTimeout(() => this.#startWriting(), lingerMs);
  }

  #startWriting(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const buffer = this.#fill;
    if (this.#writing !== undefined || buffer === undefined || this.#filled === 0) return;
    if (this.#failure !== undefined) return;
    const length = this.#filled;
    this.#fill = this.#spare;
    this.#spare = undefined;
    this.#filled = 0;
    this.#writing = this.#write(buffer, length);
  }

  /** Never rejects: the failure is kept for the next call. */
  async #write(buffer: Buffer, length: number): Promise<void> {
    try {
      await writeFully(this.#file, buffer.subarray(0, length), this.#position);
      this.#position += length;
      this.#syncAhead(length);
    } catch (error) {
      this.#failure ??= { error };
    }
    this.#spare = buffer;
    this.#writing = undefined;
    if (this.#filled > 0) this.#kick();
    this.#onGrown();
  }

  #syncAhead(length: number): void {
    this.#unsynced += length;
    if (this.#unsynced < syncAheadEvery || this.#syncing !== undefined) return;
    const syncing = this.#syncer.ahead(this.#file);
    if (syncing === undefined) return;
    this.#unsynced = 0;
    this.#syncing = syncing
      .catch((error: unknown) => {
        this.#suspect = true;
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#syncing = undefined;
      });
  }
}

/** Writes all of `bytes`: the system may take fewer at once than it was given (F07). */
async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, position + done);
    if (bytesWritten === 0) throw new CodedError("ERR_UNAVAILABLE", "ingest data: the system took no more bytes");
    done += bytesWritten;
  }
}
