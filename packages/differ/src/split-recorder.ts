import { appendFileSync, closeSync, openSync, rmSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { createTarSplitter } from "@varve/archive";
import type { SplitSummary, TarSplitter } from "@varve/archive";

/** So many bytes of records make one gzip member: enough to compress well, and little to hold. */
const memberBytes = 1024 * 1024;

export interface SplitTarget {
  /** The file to write; what is there is replaced. */
  readonly path: string;
  /** What errors begin with. */
  readonly subject: string;
}

/** Writes the tar-split records of an archive into a file, compressed by gzip, while the archive passes. */
export class SplitRecorder {
  readonly #path: string;
  readonly #fd: number;
  readonly #splitter: TarSplitter;
  #records: Uint8Array[] = [];
  #held = 0;
  #open = true;

  constructor({ path, subject }: SplitTarget) {
    this.#path = path;
    this.#fd = openSync(path, "w", 0o600);
    this.#splitter = createTarSplitter((records) => this.#take(records), { subject });
  }

  write(block: Uint8Array): void {
    this.#splitter.write(block);
  }

  end(): SplitSummary {
    const summary = this.#splitter.end();
    this.#flush();
    this.#open = false;
    closeSync(this.#fd);
    return summary;
  }

  /** Leaves no file. Idempotent, and nothing happens after `end`. */
  abort(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#splitter.abort();
    closeSync(this.#fd);
    rmSync(this.#path, { force: true });
  }

  #take(records: Uint8Array): void {
    this.#records.push(records);
    this.#held += records.length;
    if (this.#held >= memberBytes) this.#flush();
  }

  // Headers and padding repeat so much that a higher level gains little and costs several times as much.
  #flush(): void {
    const member = gzipSync(Buffer.concat(this.#records), { level: 1 });
    this.#records = [];
    this.#held = 0;
    // Writes again what the kernel did not take, and ends with the disk's reason.
    appendFileSync(this.#fd, member);
  }
}
