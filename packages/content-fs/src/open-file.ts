import type { FileHandle } from "node:fs/promises";

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
