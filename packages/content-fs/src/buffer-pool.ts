/** Bytes in each. */
export const bufferSize: number = 1024 * 1024;

/** A few large buffers, made when they are needed and used again, in memory that the hash thread sees too. */
export class BufferPool {
  readonly #spares: Buffer[] = [];
  readonly #max: number;
  #made = 0;
  #wanted: PromiseWithResolvers<void> | undefined;

  constructor(max: number) {
    this.#max = max;
  }

  get isEmpty(): boolean {
    return this.#spares.length === 0 && this.#made === this.#max;
  }

  /** To be called when the pool is not empty. */
  take(): Buffer {
    const spare = this.#spares.pop();
    if (spare !== undefined) return spare;
    this.#made += 1;
    return Buffer.from(new SharedArrayBuffer(bufferSize));
  }

  /** Gives a buffer back. One that is not from a pool is left alone. */
  give(buffer: Buffer): void {
    if (buffer.byteLength !== bufferSize) return;
    this.#spares.push(buffer);
    this.stopWaiting();
  }

  /** Resolves when a buffer was given back, or `stopWaiting` was called. */
  wait(): Promise<void> {
    this.#wanted ??= Promise.withResolvers();
    return this.#wanted.promise;
  }

  stopWaiting(): void {
    this.#wanted?.resolve();
    this.#wanted = undefined;
  }
}
