import { closeSync, openSync } from "node:fs";
import { CodedError } from "@varve/errors";
import { withSubject } from "./errno.ts";

/**
 * Writes a filesystem to the disk for several callers at once: one that comes while a flush is running needs the next one,
 * and shares it with all others that wait.
 *
 * Make it before anything is written: the kernel tells of a write that it could not do later once to each descriptor that was
 * open by then, and to no other. So this one has the same descriptor from beginning to end.
 */
export class Flusher {
  readonly #directory: string;
  readonly #sync: (fd: number) => Promise<void>;
  #fd: number | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /**
   * @param directory on the filesystem
   * @param sync waits for the filesystem of an open file, as syncfs(2) does
   */
  constructor(directory: string, sync: (fd: number) => Promise<void>) {
    this.#directory = directory;
    this.#sync = sync;
    this.#fd = openSync(directory, "r");
  }

  /** Settles when everything written before this call is on the disk. */
  flush(): Promise<void> {
    this.#next ??= this.#flushNext();
    return this.#next;
  }

  /** Waits for the flushes that were asked for; twice is no error. */
  async close(): Promise<void> {
    await this.#next?.catch(() => undefined);
    await this.#running?.catch(() => undefined);
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) closeSync(fd);
  }

  async #flushNext(): Promise<void> {
    // A failed flush is told to those it was for; it says nothing about this one.
    await this.#running?.catch(() => undefined);
    this.#running = this.#next;
    this.#next = undefined;
    if (this.#fd === undefined) throw new CodedError("ERR_FAILED_PRECONDITION", `directory ${this.#directory}: closed`);
    await this.#sync(this.#fd).catch((error: unknown) => {
      throw withSubject(error, `directory ${this.#directory}`, this.#directory);
    });
  }
}
