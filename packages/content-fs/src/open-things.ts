import type { FsBlobReader } from "./blob-reader.ts";
import type { Claim } from "./claims.ts";
import type { FsWriter } from "./fs-writer.ts";

/** What `close` of a store has to give back. */
export class OpenThings {
  /** By their record; an aborted ingest has none any more. */
  readonly #writers: Map<string, FsWriter> = new Map();
  readonly #unclosed: Set<FsWriter> = new Set();
  readonly #readers: Set<FsBlobReader> = new Set();
  readonly #notes: Set<Claim> = new Set();
  readonly #taking: Set<Promise<unknown>> = new Set();

  /** Runs a call that takes something. */
  async take<T>(call: () => Promise<T>): Promise<T> {
    const taking = call();
    this.#taking.add(taking);
    try {
      return await taking;
    } finally {
      this.#taking.delete(taking);
    }
  }

  writerOf(record: string): FsWriter | undefined {
    return this.#writers.get(record);
  }

  addWriter(writer: FsWriter): void {
    this.#writers.set(writer.claim.paths.record, writer);
    this.#unclosed.add(writer);
  }

  removeWriter(writer: FsWriter): void {
    const { record } = writer.claim.paths;
    if (this.#writers.get(record) === writer) this.#writers.delete(record);
    this.#unclosed.delete(writer);
  }

  /** The ingest of a writer has been aborted. */
  abort(record: string): void {
    this.#writers.get(record)?.abort();
    this.#writers.delete(record);
  }

  addReader(reader: FsBlobReader): void {
    this.#readers.add(reader);
  }

  removeReader(reader: FsBlobReader): void {
    this.#readers.delete(reader);
  }

  /** A note that a committed ingest has left. */
  addNote(claim: Claim): void {
    this.#notes.add(claim);
  }

  get notes(): readonly Claim[] {
    return [...this.#notes];
  }

  /** Closes all, whatever fails. @throws the first error */
  async close(): Promise<void> {
    await Promise.allSettled(this.#taking);
    const closing = [...this.#unclosed, ...this.#readers].map((open) => open.close());
    await Promise.allSettled(closing);
    await Promise.all(closing);
  }
}
