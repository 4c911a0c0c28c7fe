import { randomBytes } from "node:crypto";
import { open, rm } from "node:fs/promises";

/** Enough for the files that SQLite opens a database with, and for some thousand records to go. */
const wanted = 512 * 1024;

/** Space beside a database that is given up when the disk is full, so that there is some for what makes room (F01). */
export class Reserve {
  readonly #path: string;
  #borrowers = 0;
  #lent: Promise<void> = Promise.resolve();
  #held: Promise<void> = Promise.resolve();

  constructor(database: string) {
    this.#path = `${database}-reserve`;
  }

  /** Takes what is missing of it, as far as there is room: a part is better than nothing, so no failure matters. */
  async hold(): Promise<void> {
    try {
      const file = await open(this.#path, "a", 0o600);
      try {
        const missing = wanted - (await file.stat()).size;
        // Random, as some file systems store nothing for zeros.
        if (missing > 0) await file.appendFile(randomBytes(missing));
      } finally {
        await file.close();
      }
    } catch {
      // Whoever needs it then has none, and says that the disk is full.
    }
  }

  /** Has its space free while `call` runs, and that of any other who needs it at the same time. */
  async lend<T>(call: () => Promise<T>, beforeHold: () => void): Promise<T> {
    if (this.#borrowers === 0)
      this.#lent = this.#held.then(() => rm(this.#path, { force: true }).catch(() => undefined));
    this.#borrowers += 1;
    await this.#lent;
    try {
      return await call();
    } finally {
      this.#borrowers -= 1;
      if (this.#borrowers === 0) {
        beforeHold();
        this.#held = this.hold();
        await this.#held;
      }
    }
  }
}
