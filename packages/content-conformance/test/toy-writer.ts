import type { CallOptions, CommitOptions, Expected, IngestStatus, Writer } from "@varve/content";
import { digestAlgorithm, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Flaw } from "./flaws.ts";
import { fail, mustBeDigest, statusOf } from "./toy-place.ts";
import type { Ingest, ToyPlace } from "./toy-place.ts";

export interface WriterHost {
  readonly place: ToyPlace;
  readonly flaw: Flaw | undefined;
  begin(options?: CallOptions): void;
  publish(ingest: Ingest, key: string, digest: Digest, labels: Readonly<Record<string, string>>): void;
}

export class ToyWriter implements Writer {
  readonly #store: WriterHost;
  readonly #ingest: Ingest;
  readonly #key: string;
  readonly #expected: Expected;
  readonly #first: IngestStatus;
  #state: "open" | "closed" | "lost" = "open";

  constructor(store: WriterHost, ingest: Ingest, key: string, expected: Expected) {
    this.#store = store;
    this.#ingest = ingest;
    this.#key = key;
    this.#expected = expected;
    this.#first = statusOf(ingest);
  }

  status(): IngestStatus {
    const status = statusOf(this.#ingest);
    if (this.#store.flaw === "status-stands-still") return this.#first;
    if (this.#store.flaw === "forgets-offsets") return { ...status, offset: status.offset - this.#first.offset };
    return status;
  }

  async digest(): Promise<Digest> {
    const { digest } = this.#expected;
    const one = digest === undefined || this.#store.flaw === "knows-one-algorithm";
    return this.#digestBy(one ? undefined : digest);
  }

  async write(chunk: Uint8Array, options: CallOptions = {}): Promise<void> {
    const { flaw } = this.#store;
    this.#mustBeOpen();
    if (flaw !== "signals-come-late") this.#store.begin(options);
    if (chunk.byteLength === 1 && flaw === "loses-single-bytes") return;
    this.#ingest.tape.chunks.push(flaw === "keeps-chunks" ? chunk : new Uint8Array(chunk));
    if (flaw !== "updated-stands-still") this.#ingest.updatedAt = new Date();
    if (flaw !== "counts-from-the-start") this.#ingest.progressAt = performance.now();
    this.#store.begin(options);
  }

  async truncate(): Promise<void> {
    this.#mustBeOpen();
    if (this.#store.flaw === "truncates-nothing") return;
    this.#ingest.tape.state = "dropped";
    this.#ingest.tape = { chunks: [], state: "growing" };
    this.#ingest.progressAt = performance.now();
  }

  async commit(expected: Expected = {}, options: CommitOptions = {}): Promise<Digest> {
    const { flaw } = this.#store;
    try {
      this.#mustBeOpen();
      this.#store.begin(options);
      this.#ingest.commits = true;
      const promised = flaw === "forgets-promises" ? {} : this.#expected;
      const { digest = promised.digest, size = promised.size } = expected;
      if (digest === undefined && flaw === "wants-a-digest") throw fail("ERR_INVALID_ARGUMENT", "no digest");
      if (digest !== undefined && flaw !== "takes-any-digest") this.#mustBeKnown(digest);
      const actual = flaw === "never-rehashes" ? await this.digest() : this.#digestBy(digest ?? promised.digest);
      const wrongSize = size !== undefined && size !== statusOf(this.#ingest).offset && flaw !== "ignores-sizes";
      const wrongDigest = digest !== undefined && digest !== actual && flaw !== "ignores-digests";
      if (wrongSize || wrongDigest) {
        if (flaw === "follow-ends-on-failure") this.#ingest.tape.state = "committed";
        throw fail("ERR_DIGEST_MISMATCH", "not what was expected");
      }
      // As if a disk had to be waited for.
      for (let turn = 0; turn < 3; turn += 1) await nextTurn();
      if (flaw === "signals-lose-ingests" && options.signal?.aborted === true) this.#lose();
      if (flaw === "publishes-aborted") this.#store.publish(this.#ingest, this.#key, actual, options.labels ?? {});
      this.#mustBeOpen();
      this.#store.begin(options);
      if (flaw !== "publishes-aborted") this.#store.publish(this.#ingest, this.#key, actual, options.labels ?? {});
      return actual;
    } finally {
      this.#ingest.commits = false;
      if (flaw !== "commit-leaves-open") await this.close();
    }
  }

  /** Somebody else has the ref now. */
  lose(): void {
    if (this.#state === "open") this.#state = "lost";
  }

  async close(): Promise<void> {
    const { flaw } = this.#store;
    const again = this.#state !== "open";
    if (this.#state === "open") this.#state = "closed";
    const current = this.#store.place.ingests.get(this.#key);
    const frees = flaw === "closing-frees-the-next" || (again && flaw === "second-close-frees");
    if (frees && current !== undefined) current.holder = undefined;
    if (this.#ingest.holder === this && flaw !== "close-keeps-lock") this.#ingest.holder = undefined;
    if (flaw === "close-drops-bytes") this.#ingest.tape.chunks = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #lose(): never {
    this.#store.place.ingests.delete(this.#key);
    throw fail("ERR_ABORTED", "the commit was aborted");
  }

  #mustBeKnown(digest: Digest): void {
    if (digest.startsWith("md5:")) throw fail("ERR_NOT_IMPLEMENTED", `digest ${digest}: unknown algorithm`);
    mustBeDigest(digest);
  }

  #digestBy(like: Digest | undefined): Digest {
    const bytes = Buffer.concat(this.#ingest.tape.chunks);
    return digestOf(bytes, like === undefined ? "sha256" : digestAlgorithm(like));
  }

  #mustBeOpen(): void {
    this.#store.begin();
    if (this.#state === "lost") throw fail("ERR_ABORTED", "the ingest was aborted");
    if (this.#state === "closed") throw fail("ERR_FAILED_PRECONDITION", "the writer is closed");
  }
}
