import { canLabel, canManageIngests, labelUncompressed, openWriter } from "@varve/content";
import type { Ingester, Writer } from "@varve/content";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";

/** A new blob on its way into a store. All work on it is done inside `orGiveUp`. */
export class LayerIngest {
  readonly #store: Ingester;
  readonly #writer: Writer;
  readonly #signal: AbortSignal | undefined;
  #size = 0;

  /** Waits while another writer has `ref`. */
  static async open(store: Ingester, ref: string, signal: AbortSignal | undefined): Promise<LayerIngest> {
    return new LayerIngest(store, await openWriter(store, ref, { signal }), signal);
  }

  private constructor(store: Ingester, writer: Writer, signal: AbortSignal | undefined) {
    this.#store = store;
    this.#writer = writer;
    this.#signal = signal;
  }

  /** Drops what is there: an earlier try has left it (U-DIFF.9), or this one begins anew. */
  async begin(): Promise<void> {
    this.#size = 0;
    if (this.#writer.status().offset > 0) await this.#writer.truncate();
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#signal?.throwIfAborted();
    await this.#writer.write(chunk, { signal: this.#signal });
    this.#size += chunk.length;
  }

  /** Stores the blob, or finds it there: then it gets the labels (U-DIFF.9). */
  async commit(
    diffId: Digest,
    labels: Readonly<Record<string, string>> = {},
  ): Promise<{ digest: Digest; size: number }> {
    const all = { ...labels, [labelUncompressed]: diffId };
    const size = this.#size;
    const signal = this.#signal;
    const digest = await this.#writer.digest();
    signal?.throwIfAborted();
    try {
      await this.#writer.commit({ digest, size }, { labels: all, signal });
    } catch (error) {
      if (!hasCode(error, "ERR_ALREADY_EXISTS")) throw error;
      if (canLabel(this.#store)) await this.#store.label(digest, all, { signal });
    }
    await this.#writer.close();
    return { digest, size };
  }

  /** Runs `work`; if it fails, nothing of the ingest stays. */
  async orGiveUp<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      // Why the work has failed is what the caller has to know.
      await this.#giveUp().catch(() => undefined);
      throw error;
    }
  }

  async #giveUp(): Promise<void> {
    try {
      // With the lock held, so that nobody else's bytes are dropped.
      if (canManageIngests(this.#store)) await this.#store.abort(this.#writer.status().ref);
      else await this.#writer.truncate();
    } finally {
      await this.#writer.close();
    }
  }
}
