import type { BlobInfo, BlobReader, CallOptions } from "@varve/content";
import { ReadAhead } from "./read-ahead.ts";

export interface KeptReaderOptions {
  /** How long nobody may use it until `onIdle` is told. */
  readonly idleMs: number;
  readonly onIdle: () => void;
}

/** A reader that is lent to calls: at first to one, which opened it. It is closed when it is dropped and nobody uses it. */
export class KeptReader {
  /** Settles when it is closed. */
  readonly closed: Promise<void>;
  readonly #reader: BlobReader;
  readonly #info: BlobInfo;
  readonly #pieces: ReadAhead;
  readonly #idle: NodeJS.Timeout;
  readonly #closing: PromiseWithResolvers<void> = Promise.withResolvers();
  #users = 1;
  #isDropped = false;

  constructor(reader: BlobReader, info: BlobInfo, { idleMs, onIdle }: KeptReaderOptions) {
    this.#reader = reader;
    this.#info = info;
    this.#pieces = new ReadAhead(reader);
    this.closed = this.#closing.promise;
    this.#idle = setTimeout(() => {
      if (this.#users === 0) onIdle();
    }, idleMs).unref();
  }

  get size(): number {
    return this.#reader.size;
  }

  /** As `BlobReader.read`. */
  read(target: Uint8Array, position: number, options: CallOptions): Promise<number> {
    return this.#pieces.read(target, position, options);
  }

  /** Lends it once more, if this is still what the store says of the blob. */
  lend({ size, createdAt }: BlobInfo): boolean {
    if (size !== this.#info.size || createdAt.getTime() !== this.#info.createdAt.getTime()) return false;
    this.#users += 1;
    return true;
  }

  /** To be called once for each time that it was lent. */
  release(): void {
    this.#users -= 1;
    if (this.#isDropped) this.#closeIfIdle();
    else this.#idle.refresh();
  }

  /** To be lent no more. */
  drop(): void {
    this.#isDropped = true;
    clearTimeout(this.#idle);
    this.#closeIfIdle();
  }

  #closeIfIdle(): void {
    if (this.#users > 0) return;
    // Whoever read has what was asked for: an error of this tells nobody anything.
    const { resolve } = this.#closing;
    this.#reader.close().then(resolve, resolve);
  }
}
