import type { BlobInfo, CallOptions, ContentStore } from "@varve/content";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { KeptReader } from "./kept-reader.ts";

/** How many readers are kept, and for how long after their last use: upstream asks again within milliseconds. */
const [mostKept, defaultIdleMs] = [16, 1000];

export interface KeptReadersOptions {
  /** How long a reader is kept that nobody uses. Default: 1000. */
  readonly idleMs?: number | undefined;
}

/** A blob that is open, to be released once. */
export type LentReader = Pick<KeptReader, "size" | "read" | "release">;

/** Readers that stay open for a while, as upstream asks for a blob in thousands of pieces, each by a call of its own. */
export class KeptReaders {
  readonly #content: ContentStore;
  readonly #idleMs: number;
  /** The one that was used last is the last one. */
  readonly #kept: Map<Digest, KeptReader> = new Map();
  readonly #open: Set<KeptReader> = new Set();
  #isClosed = false;

  constructor(content: ContentStore, { idleMs = defaultIdleMs }: KeptReadersOptions = {}) {
    this.#content = content;
    this.#idleMs = idleMs;
  }

  /**
   * Opens a blob, or gives the reader there is: not for a blob that was deleted or came anew meanwhile.
   *
   * @throws ERR_NOT_FOUND no such blob
   */
  async lend(digest: Digest, options: CallOptions): Promise<LentReader> {
    const info = await this.#infoOf(digest, options);
    const kept = this.#kept.get(digest);
    if (kept !== undefined) {
      this.#kept.delete(digest);
      if (kept.lend(info)) {
        this.#kept.set(digest, kept);
        return kept;
      }
      kept.drop();
    }
    // The store looks at the digest only.
    const reader = await this.#content.open({ mediaType: "application/octet-stream", digest, size: 0 }, options);
    const lent = new KeptReader(reader, info, { idleMs: this.#idleMs, onIdle: () => this.forget(digest) });
    this.#open.add(lent);
    void lent.closed.then(() => this.#open.delete(lent));
    if (this.#isClosed || this.#kept.has(digest)) lent.drop();
    else this.#keep(digest, lent);
    return lent;
  }

  /** Has a blob opened anew by the next call; its reader is closed when nobody uses it. */
  forget(digest: Digest): void {
    this.#kept.get(digest)?.drop();
    this.#kept.delete(digest);
  }

  /** Keeps nothing from now on; settles when all that was lent is released, and all is closed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const digest of this.#kept.keys()) this.forget(digest);
    await Promise.all([...this.#open].map(({ closed }) => closed));
  }

  async #infoOf(digest: Digest, options: CallOptions): Promise<BlobInfo> {
    try {
      return await this.#content.info(digest, options);
    } catch (error) {
      if (hasCode(error, "ERR_NOT_FOUND")) this.forget(digest);
      throw error;
    }
  }

  #keep(digest: Digest, reader: KeptReader): void {
    this.#kept.set(digest, reader);
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined && this.#kept.size > mostKept) this.forget(oldest);
  }
}
