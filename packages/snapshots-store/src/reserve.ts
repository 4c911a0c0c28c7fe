import { randomBytes } from "node:crypto";
import { open, unlink } from "node:fs/promises";

/** Enough for the files that SQLite opens a database with, and for the notes of some removals. */
const wanted = 256 * 1024;

/** Space that is given up on a full disk, so that there is some for what makes room. */
export class Reserve {
  readonly #path: string;

  constructor(database: string) {
    this.#path = `${database}-reserve`;
  }

  /** Takes what is missing of it, as far as there is room: a part is better than nothing, so no failure matters. */
  async hold(): Promise<void> {
    try {
      const file = await open(this.#path, "a", 0o600);
      try {
        const missing = wanted - (await file.stat()).size;
        // Random, for zeros take no space on some filesystems.
        if (missing > 0) await file.appendFile(randomBytes(missing));
      } finally {
        await file.close();
      }
    } catch {
      // Whoever needs it then has none, and says that the disk is full.
    }
  }

  /** Says whether there was any. */
  async release(): Promise<boolean> {
    try {
      await unlink(this.#path);
      return true;
    } catch {
      return false;
    }
  }
}
