import { open } from "node:fs/promises";
import { withSubject } from "./errno.ts";

/**
 * Writes a filesystem to the disk for several callers at once: one that comes while a flush is running needs the next one,
 * and shares it with all others that wait.
 */
export class Flusher {
  readonly #directory: string;
  readonly #sync: (fd: number) => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /**
   * @param directory on the filesystem
   * @param sync waits for the filesystem of an open file, as syncfs(2) does
   */
  constructor(directory: string, sync: (fd: number) => Promise<void>) {
    this.#directory = directory;
    this.#sync = sync;
  }

  /** Settles when everything written before this call is on the disk. */
  flush(): Promise<void> {
    this.#next ??= this.#flushNext();
    return this.#next;
  }

  async #flushNext(): Promise<void> {
    // A failed flush is told to those it was for; it says nothing about this one.
    await this.#running?.catch(() => undefined);
    this.#running = this.#next;
    this.#next = undefined;
    const handle = await open(this.#directory);
    try {
      await this.#sync(handle.fd).catch((error: unknown) => {
        throw withSubject(error, `directory ${this.#directory}`, this.#directory);
      });
    } finally {
      await handle.close();
    }
  }
}
