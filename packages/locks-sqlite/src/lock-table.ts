import { randomUUID } from "node:crypto";
import { currentOwner, isOwnerAlive } from "@varve/locks";
import type { Database, Session } from "@varve/sqlite";
import { steadyClock } from "./life-watch.ts";
import type { LifeWatch } from "./life-watch.ts";

/** What nobody has touched for so long is nobody's, whatever its owner's name says: containers have process ids of their own. */
const forgottenMs = 24 * 3_600_000;

/** SQL, as `openDatabase` takes it. */
export const migrations: readonly string[] = [
  `CREATE TABLE locks (
    key TEXT NOT NULL PRIMARY KEY,
    -- The process, and which of its users of this file.
    owner TEXT NOT NULL,
    holder TEXT NOT NULL,
    -- One acquisition of the holder.
    token INTEGER NOT NULL,
    -- When the holder gave its last sign of life, by a clock that starts with the boot.
    beat INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`,
];

const findRow = `SELECT owner, holder, (SELECT max(beat) FROM locks AS every WHERE every.holder = locks.holder) AS beat
  FROM locks WHERE key = ?`;

/** One user of the table. Who calls sees to it that no two of its tasks want one key at a time. */
export class LockTable {
  readonly #database: Database;
  readonly #watch: LifeWatch;
  readonly #owner = currentOwner();
  readonly #holder = randomUUID();
  #tokens = 0;

  constructor(database: Database, watch: LifeWatch) {
    this.#database = database;
    this.#watch = watch;
  }

  /** Removes the rows that nobody is going to: bounds the table, whatever is killed. */
  async sweep(): Promise<void> {
    await this.#database.free((session) => {
      session.run("DELETE FROM locks WHERE beat < ?", steadyClock() - forgottenMs);
      for (const { owner } of session.all("SELECT DISTINCT owner FROM locks")) {
        if (!isOwnerAlive(String(owner))) session.run("DELETE FROM locks WHERE owner = ?", owner ?? "");
      }
    });
  }

  /** Takes the key unless another holds it; the token is for `drop`. */
  async take(key: string, signal: AbortSignal | undefined): Promise<number | undefined> {
    this.#tokens += 1;
    const token = this.#tokens;
    const isTaken = await this.#database.note((session) => {
      if (this.#isHeld(session, key)) return false;
      const values = [key, this.#owner, this.#holder, token, steadyClock()];
      session.run("INSERT OR REPLACE INTO locks (key, owner, holder, token, beat) VALUES (?, ?, ?, ?, ?)", ...values);
      return true;
    }, signal);
    return isTaken ? token : undefined;
  }

  /** Whether another holds the key: to be asked often, for it writes nothing. */
  isHeld(key: string, signal: AbortSignal): Promise<boolean> {
    return this.#database.read((session) => this.#isHeld(session, key), signal);
  }

  /** Gives keys back, of which `acquisitions` has the tokens when it is done. What others have taken over meanwhile stays theirs. */
  async drop(acquisitions: ReadonlyMap<number, string>): Promise<readonly number[]> {
    return this.#database.freeSoon((session) => {
      for (const [token, key] of acquisitions) {
        session.run("DELETE FROM locks WHERE key = ? AND holder = ? AND token = ?", key, this.#holder, token);
      }
      return [...acquisitions.keys()];
    });
  }

  /** Gives a sign of life for all that is held. */
  async beat(): Promise<void> {
    await this.#database.note((session) => {
      session.run("UPDATE locks SET beat = ? WHERE holder = ?", steadyClock(), this.#holder);
    });
  }

  /** Gives back all that is held, and closes the file. */
  async close(): Promise<void> {
    try {
      await this.#database.freeSoon((session) => session.run("DELETE FROM locks WHERE holder = ?", this.#holder));
    } finally {
      this.#database.close();
    }
  }

  #isHeld(session: Session, key: string): boolean {
    const row = session.get(findRow, key);
    if (row === undefined) return false;
    const holder = String(row["holder"]);
    // Ours: it could not be given back when its time had come.
    if (holder === this.#holder || !isOwnerAlive(String(row["owner"]))) return false;
    return !this.#watch.isStalled(holder, Number(row["beat"]));
  }
}
