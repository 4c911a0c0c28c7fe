import { canFollow, copyBlob, openWriter, streamBlob } from "@varve/content";
import type { CallOptions, ContentStore } from "@varve/content";
import { CodedError, hasCode } from "@varve/errors";
import { untilAborted } from "@varve/locks";
import type { Descriptor } from "@varve/oci";
import type { Part } from "./byte-range.ts";

/** Gives the bytes of what is fetched, from an offset on. */
type FetchBytes = (offset: number, options: CallOptions) => AsyncIterable<Uint8Array>;

export interface DownloadOptions {
  readonly content: ContentStore;
  readonly descriptor: Descriptor;
  readonly fetch: FetchBytes;
  /** Given to the blob. */
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * One blob on its way into the store. Any number of clients read along; when the last one has left the fetch ends, and what
 * has come stays for the next time.
 */
export class Download {
  /** Settles when the blob is stored and verified, or will not be. */
  readonly done: Promise<void>;
  readonly #options: DownloadOptions;
  readonly #stop = new AbortController();
  /** Resolves when the ingest can be followed. */
  readonly #begun = Promise.withResolvers<void>();
  #readers = 0;

  constructor(options: DownloadOptions) {
    this.#options = options;
    this.done = this.#run();
    // Whoever reads along is told; nobody may be left.
    this.done.catch((error: unknown) => {
      this.#begun.reject(error);
      this.#stop.abort(error);
    });
    this.#begun.promise.catch(() => {});
  }

  /** Whether it has been given up, so that nobody can read along any more. */
  get isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /**
   * Reads along, from the moment that the first chunk is asked for. The last byte is held back until the whole blob is
   * verified, so that nobody takes wrong bytes for whole.
   */
  async *read(part: Part, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    this.#readers += 1;
    try {
      const wanted = AbortSignal.any([signal, this.#stop.signal]);
      let position = 0;
      let held: Uint8Array | undefined;
      for await (const chunk of this.#bytes(wanted)) {
        const bytes = chunk.subarray(Math.max(0, part.start - position), Math.max(0, part.end - position));
        position += chunk.byteLength;
        if (bytes.byteLength === 0) continue;
        const isLast = position >= part.end;
        if (isLast) held = bytes.subarray(-1);
        if (!isLast || bytes.byteLength > 1) yield isLast ? bytes.subarray(0, -1) : bytes;
        if (isLast) break;
      }
      await untilAborted(this.done, signal);
      if (held !== undefined) yield held;
    } finally {
      this.#leave();
    }
  }

  #leave(): void {
    this.#readers -= 1;
    if (this.#readers === 0) this.#stop.abort(new CodedError("ERR_ABORTED", "download: nobody waits for it any more"));
  }

  /** What comes, as it comes where the store can be read from while it is written. */
  async *#bytes(signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    await untilAborted(this.#begun.promise, signal);
    const { content, descriptor } = this.#options;
    if (canFollow(content)) {
      try {
        yield* content.follow(this.#ref, { signal });
        return;
      } catch (error) {
        // Committed before it could be followed.
        if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
      }
    }
    await untilAborted(this.done, signal);
    yield* streamBlob(content, descriptor, { signal });
  }

  get #ref(): string {
    return `mirror-${this.#options.descriptor.digest}`;
  }

  async #run(): Promise<void> {
    const { content, fetch, labels } = this.#options;
    const { digest, size } = this.#options.descriptor;
    const { signal } = this.#stop;
    try {
      const writer = await openWriter(content, this.#ref, { expected: { digest, size }, signal });
      try {
        this.#begun.resolve();
        await copyBlob(writer, (offset) => fetch(offset, { signal }), { digest, size, labels, signal });
      } finally {
        await writer.close();
      }
    } catch (error) {
      if (hasCode(error, "ERR_ALREADY_EXISTS")) {
        this.#begun.resolve();
        return;
      }
      if (hasCode(error, "ERR_DIGEST_MISMATCH")) await this.#forget();
      throw error;
    }
  }

  /** Nobody continues wrong bytes. */
  async #forget(): Promise<void> {
    try {
      await this.#options.content.abort(this.#ref);
    } catch (error) {
      if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
    }
  }
}
