import { randomBytes } from "node:crypto";
import { open, rm } from "node:fs/promises";

/** Enough for SQLite's own files and for records of some thousand blobs to go. */
const wanted = 512 * 1024;
const step = 16 * 1024;

/** Space on the disk that is given up when it is full, so that there is some for what makes room. */
export class Reserve {
  readonly #path: string;

  constructor(database: string) {
    this.#path = `${database}-reserve`;
  }

  /** Takes what is missing of it, as far as there is room. Nothing else needs it, so no failure matters. */
  async hold(): Promise<void> {
    try {
      const file = await open(this.#path, "a", 0o600);
      try {
        // Random, as some file systems store nothing for zeros.
        for (let { size } = await file.stat(); size < wanted; size += step) await file.appendFile(randomBytes(step));
      } finally {
        await file.close();
      }
    } catch {
      // A part is better than nothing.
    }
  }

  /** Says whether there was any. */
  async release(): Promise<boolean> {
    try {
      await rm(this.#path);
      return true;
    } catch {
      return false;
    }
  }
}
