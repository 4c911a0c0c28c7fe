import type { FileHandle } from "node:fs/promises";

/**
 * Reads a file from `start` to its end in pieces of at most `step` bytes. The buffer is used again for the next piece, so
 * a piece is not to be kept.
 */
export async function* readPieces(file: FileHandle, step: number): AsyncGenerator<Uint8Array, void, undefined> {
  const buffer = Buffer.allocUnsafeSlow(step);
  for (let position = 0; ;) {
    const { bytesRead } = await file.read(buffer, 0, step, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** An open file whose handle is closed only after the reads under way: their number could belong to another file then. */
export class OpenFile {
  readonly #file: FileHandle;
  readonly #closed: () => Error;
  #reads = 0;
  #idle: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  /** @param closed makes the error of a read after `close` */
  constructor(file: FileHandle, closed: () => Error) {
    this.#file = file;
    this.#closed = closed;
  }

  /** Fills `target` as far as the file reaches; the system may give less at once (F07). */
  async read(target: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < target.byteLength) {
      const at = done;
      const { bytesRead } = await this.#use((file) => file.read(target, at, target.byteLength - at, position + at));
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  stat(): ReturnType<FileHandle["stat"]> {
    return this.#use((file) => file.stat());
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #use<T>(call: (file: FileHandle) => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw this.#closed();
    this.#reads += 1;
    try {
      return await call(this.#file);
    } finally {
      this.#reads -= 1;
      if (this.#reads === 0) this.#idle?.();
    }
  }

  async #close(): Promise<void> {
    if (this.#reads > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    await this.#file.close();
  }
}
