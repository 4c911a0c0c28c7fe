import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";

/** `full`: what is acknowledged survives a power cut. `none`: left to the operating system. */
export type Durability = "full" | "none";

/** Brings data to disk, as far as a store is asked to. Bounded: a sync occupies a thread of libuv's few for long. */
export class Syncer {
  readonly #enabled: boolean;
  #background = false;

  constructor(durability: Durability) {
    this.#enabled = durability === "full";
  }

  /** The bytes and size of a file. */
  async data(file: FileHandle): Promise<void> {
    if (this.#enabled) await file.datasync();
  }

  /** The entries of a directory. Windows has no such call. */
  async directory(path: string): Promise<void> {
    if (!this.#enabled || process.platform === "win32") return;
    const handle = await open(path, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  /**
   * Starts to write a file back early, so that the sync at its commit has little left to do; one file at a time.
   * `undefined` if there is nothing to wait for.
   */
  ahead(file: FileHandle): Promise<void> | undefined {
    if (!this.#enabled || this.#background) return undefined;
    this.#background = true;
    return file.datasync().finally(() => {
      this.#background = false;
    });
  }
}
