import { statSync } from "node:fs";
import { CodedError } from "@varve/errors";

/** Which snapshots may miss something that was written to them, because the disk has said so once. */
export class LostWrites {
  #failures = 0;
  #cause: unknown;
  /** All up to this id. */
  #last = 0;
  readonly #later = new Set<number>();
  #pending: Promise<void> = Promise.resolve();

  /** How many times something was lost. */
  get failures(): number {
    return this.#failures;
  }

  /** Takes all that are there now for suspects. `lastId` tells the greatest id ever given. */
  async note(cause: unknown, lastId: () => Promise<number>): Promise<void> {
    this.#cause = cause;
    const failure = (this.#failures += 1);
    // Until it is known which ones, it is all of them; and for ever, if it cannot be found out.
    this.#last = Number.POSITIVE_INFINITY;
    this.#pending = this.#find(failure, lastId);
    await this.#pending;
  }

  async #find(failure: number, lastId: () => Promise<number>): Promise<void> {
    try {
      const last = await lastId();
      if (failure === this.#failures) this.#last = last;
    } catch {
      // Whoever commits is told of what was lost, not of this.
    }
  }

  /** Takes one for a suspect that was being made when something was lost. */
  add(id: number): void {
    this.#later.add(id);
  }

  /** Settles when it is known which ones are suspects. */
  async settled(): Promise<void> {
    await this.#pending;
  }

  /** @throws ERR_DATA_LOSS the snapshot is one of them */
  mustBeWhole(id: number, name: string): void {
    if (id > this.#last && !this.#later.has(id)) return;
    const why = this.#cause instanceof Error ? this.#cause.message : String(this.#cause);
    throw new CodedError(
      "ERR_DATA_LOSS",
      `snapshot ${name}: cannot be committed: the disk failed after it was begun, and what it lost of it is unknown: ${why}`,
      { cause: this.#cause },
    );
  }
}

const byRoot = new Map<string, LostWrites>();

/** Those of the store in `root`: the same for all who have it open in this process. */
export function lostWritesOf(root: string): LostWrites {
  const { dev, ino, birthtimeNs } = statSync(root, { bigint: true });
  // A root that was wiped and made anew begins with the first id again.
  const key = `${dev}:${ino}:${birthtimeNs}`;
  const known = byRoot.get(key) ?? new LostWrites();
  byRoot.set(key, known);
  return known;
}
