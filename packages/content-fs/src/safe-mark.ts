import { close, openSync, write } from "node:fs";
import { promisify } from "node:util";
import { holds } from "./claims.ts";
import type { Claim } from "./claims.ts";
import type { Syncer } from "./durability.ts";
import { headBytes } from "./ingest-record.ts";
import type { RecordState } from "./ingest-record.ts";
import type { Layout } from "./layout.ts";
import { retryOpen } from "./open-retry.ts";
import type { StoreLock } from "./store-lock.ts";

const writeFile = promisify(write);
const closeFile = promisify(close);

export interface SafeMarkHost {
  readonly layout: Layout;
  readonly lock: StoreLock;
  readonly syncer: Syncer;
}

/**
 * Keeps in the record of an ingest how many of its bytes are on disk (K03, P01, P02). It is overwritten in place, without the
 * lock: a record that another holder has replaced is another file.
 */
export class SafeMark {
  readonly #host: SafeMarkHost;
  readonly #claim: Claim;
  #safe: number;
  #state: RecordState = "held";
  #fd: Promise<number | undefined> | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(host: SafeMarkHost, claim: Claim) {
    this.#host = host;
    this.#claim = claim;
    this.#safe = claim.record.safe;
  }

  get safe(): number {
    return this.#safe;
  }

  get isLost(): boolean {
    return this.#state === "lost";
  }

  /** The bytes up to `size` have been synced. */
  advance(size: number): void {
    if (size <= this.#safe) return;
    this.#safe = size;
    this.#put();
  }

  /** The disk failed to keep some bytes. What the system has in memory looks whole, so the mark is made at once. */
  lose(): void {
    if (this.isLost) return;
    this.#state = "lost";
    this.#put();
  }

  /** Resolves when the mark is on disk itself, as far as that was possible: without it less is trusted, never more. */
  async settle(): Promise<void> {
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.#writing;
    const fd = await this.#fd?.catch(() => undefined);
    this.#fd = undefined;
    if (fd !== undefined) await closeFile(fd);
  }

  #put(): void {
    this.#writing = this.#writing.then(() => this.#write()).catch(() => {});
  }

  async #write(): Promise<void> {
    const { layout, lock, syncer } = this.#host;
    const isFirst = this.#fd === undefined;
    this.#fd ??= retryOpen(() =>
      lock.run(() => (holds(this.#claim) ? openSync(this.#claim.paths.record, "r+") : undefined)),
    );
    const fd = await this.#fd;
    if (fd === undefined) return;
    const bytes = headBytes({ safe: this.#safe, state: this.#state });
    await writeFile(fd, bytes, 0, bytes.byteLength, 0);
    await syncer.data(fd);
    if (isFirst) await syncer.directory(layout.ingests);
  }
}
