import { ProtocolError } from "./protocol-error.ts";

/** Bytes of whole documents that may be in memory at the same time, for all clients together: a slow one keeps its own long. */
export class MemoryBudget {
  readonly #limit: number;
  #used = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @throws ProtocolError TOOMANYREQUESTS; nothing is taken then */
  take(bytes: number): void {
    if (this.#used + bytes > this.#limit) {
      throw new ProtocolError("TOOMANYREQUESTS", "too much is on its way", { "retry-after": "1" });
    }
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }
}
