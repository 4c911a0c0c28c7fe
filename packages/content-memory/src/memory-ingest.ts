import { setImmediate as nextTurn } from "node:timers/promises";
import type { IngestStatus } from "@varve/content";
import { createDigester, digestAlgorithm, parseDigest } from "@varve/digest";
import type { Digest, DigestAlgorithm, Digester } from "@varve/digest";
import { CodedError } from "@varve/errors";

/** The bytes of an ingest since it was begun or truncated; followers stay with the tape that they began on. */
export interface Tape {
  readonly chunks: Uint8Array[];
  state: "growing" | "committed" | "dropped";
}

/** One writer's right to an ingest. It is lost when the ingest has another one, or is no longer that of its ref. */
export interface Hold {
  readonly since: Date;
  /** When the writer last did anything, by a clock that nobody sets. */
  progressAt: number;
  /** Verifying can take long without being stuck. */
  commits: boolean;
}

/** One ingest, whether somebody writes it or not. */
export class MemoryIngest {
  readonly ref: string;
  readonly startedAt: Date = new Date();
  total: number | undefined;
  expected: Digest | undefined;
  hold: Hold | undefined;
  updatedAt: Date = this.startedAt;
  tape: Tape = { chunks: [], state: "growing" };
  #digester: Digester = createDigester();
  #algorithm: DigestAlgorithm = "sha256";
  readonly #waiting: Set<() => void> = new Set();

  constructor(ref: string) {
    this.ref = ref;
  }

  get size(): number {
    return this.#digester.size;
  }

  status(): IngestStatus {
    const { ref, size: offset, total, expected, startedAt, updatedAt } = this;
    return { ref, offset, total, expected, startedAt, updatedAt };
  }

  digest(): Digest {
    return this.#digester.digest();
  }

  /** The digest by the algorithm of `wanted`, of which the bytes are hashed again if it is another (U-LCS.9). */
  async digestAs(wanted: Digest | undefined): Promise<Digest> {
    const algorithm = wanted === undefined ? this.#algorithm : digestAlgorithm(parseDigest(wanted));
    if (algorithm !== this.#algorithm) await this.useAlgorithm(algorithm);
    return this.digest();
  }

  async useAlgorithm(algorithm: DigestAlgorithm): Promise<void> {
    if (algorithm === this.#algorithm) return;
    for (;;) {
      const { tape } = this;
      const digester = createDigester(algorithm);
      // Sees chunks that are added meanwhile too: the present holder may have lost the ingest to one who writes.
      for (const chunk of tape.chunks) {
        digester.update(chunk);
        await nextTurn();
      }
      if (tape !== this.tape) continue;
      this.#algorithm = algorithm;
      this.#digester = digester;
      return;
    }
  }

  append(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return;
    // Not by `slice`: that of a Buffer is no copy.
    const copy = new Uint8Array(bytes);
    this.tape.chunks.push(copy);
    this.#digester.update(copy);
    this.updatedAt = new Date();
    this.wake();
  }

  truncate(): void {
    this.end("dropped");
    this.tape = { chunks: [], state: "growing" };
    this.#digester = createDigester(this.#algorithm);
    this.updatedAt = new Date();
  }

  end(state: "committed" | "dropped"): void {
    this.tape.state = state;
    this.wake();
  }

  wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }

  async *follow(signal: AbortSignal | undefined, mustBeOpen: () => void): AsyncGenerator<Uint8Array, void, undefined> {
    const { tape } = this;
    for (let index = 0; ;) {
      mustBeOpen();
      signal?.throwIfAborted();
      const chunk = tape.chunks[index];
      if (chunk !== undefined) {
        index += 1;
        yield chunk.slice();
      } else if (tape.state === "committed") {
        return;
      } else if (tape.state === "dropped") {
        throw new CodedError("ERR_ABORTED", `ingest ${this.ref}: dropped while it was followed`);
      } else {
        await this.#change(signal);
      }
    }
  }

  #change(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wakeUp = (): void => {
        this.#waiting.delete(wakeUp);
        signal?.removeEventListener("abort", wakeUp);
        resolve();
      };
      this.#waiting.add(wakeUp);
      signal?.addEventListener("abort", wakeUp, { once: true });
    });
  }
}
