import type { CallOptions, Expected, IngestStatus, Writer } from "@varve/content";
import { digestAlgorithm } from "@varve/digest";
import type { Digest, DigestAlgorithm } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { untilAborted } from "@varve/locks";
import { holds } from "./claims.ts";
import type { Claim } from "./claims.ts";
import { about, isErrno } from "./errno.ts";
import { dropBytes, whyLost } from "./holder.ts";
import { OpenIngest } from "./open-ingest.ts";
import type { IngestHost } from "./open-ingest.ts";
import { retryOpen } from "./open-retry.ts";
import { publish } from "./publish.ts";
import { removeAll } from "./remove-all.ts";
import { mustBeExpected } from "./verify.ts";

/** How often a writer looks at most whether somebody else has ended its claim. */
const watchEveryMs = 200;

/** What a writer needs of its store. */
export interface WriterHost extends IngestHost {
  /** The ingest has left a note, to be removed in the end. */
  noted(claim: Claim): void;
  /** The writer has let go of everything. */
  finished(writer: FsWriter): void;
}

export class FsWriter implements Writer {
  readonly #host: WriterHost;
  readonly #expected: Expected;
  #ingest: OpenIngest;
  #watchedAt: number = performance.now();
  #current: Promise<unknown> | undefined;
  #lost: CodedError | undefined;
  #isClosed = false;
  #closing: Promise<void> | undefined;
  #committed: Digest | undefined;
  #isBlob = false;

  constructor(host: WriterHost, claim: Claim, expected: Expected) {
    this.#host = host;
    this.#expected = expected;
    this.#ingest = new OpenIngest(host, claim, this.#algorithm());
  }

  get claim(): Claim {
    return this.#ingest.claim;
  }

  status(): IngestStatus {
    const { ref, startedAt, total, expected } = this.claim.record;
    const { size, updatedAt } = this.#ingest;
    return { ref, offset: size, total, expected, startedAt, updatedAt };
  }

  async digest(): Promise<Digest> {
    return this.#committed ?? this.#exclusively(() => this.#ingest.digest());
  }

  write(chunk: Uint8Array, { signal }: CallOptions = {}): Promise<void> {
    return this.#exclusively(async () => {
      signal?.throwIfAborted();
      this.#watch();
      await this.#ingest.write(chunk, signal);
      this.#mustBeOpen();
    });
  }

  async truncate(): Promise<void> {
    await this.#exclusively(async () => {
      const { layout, lock } = this.#host;
      const old = this.#ingest;
      const next = await retryOpen(() => lock.run(() => dropBytes(layout, old.claim)));
      if (next === undefined) throw this.#lose();
      this.#ingest = new OpenIngest(this.#host, next, this.#algorithm());
      await old.close(false);
      await removeAll(next.trash);
    });
    this.#host.changed(this.claim);
  }

  async commit(expected: Expected = {}, options: CallOptions = {}): Promise<Digest> {
    try {
      return await this.#exclusively(() => this.#commit(expected, options.signal));
    } finally {
      await this.close();
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Called when the ingest was aborted through this store. */
  abort(): void {
    this.#lose();
  }

  // U-LCS.10, in its order; a failure at any step but the last keeps the ingest.
  async #commit(given: Expected, signal: AbortSignal | undefined): Promise<Digest> {
    signal?.throwIfAborted();
    this.#watch();
    const expected = { digest: given.digest ?? this.#expected.digest, size: given.size ?? this.#expected.size };
    const algorithm = expected.digest === undefined ? undefined : digestAlgorithm(expected.digest);
    const digest = await untilAborted(this.#ingest.settle(algorithm), signal);
    signal?.throwIfAborted();
    const { size, claim } = this.#ingest;
    mustBeExpected(claim.record.ref, { digest, size }, expected);
    this.#ingest.seal();
    const published = await publish(this.#host, claim, { digest, size });
    if (published === "lost") throw this.#lose();
    this.#committed = digest;
    this.#isBlob = published === "new";
    if (claim.record.moves > 0) this.#host.noted(claim);
    if (published === "exists") throw new CodedError("ERR_ALREADY_EXISTS", `content ${digest}: already exists`);
    return digest;
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    await this.#current?.catch(() => {});
    const ingest = this.#ingest;
    const isEnded = this.#committed !== undefined || this.#lost !== undefined;
    try {
      if (!isEnded) await about(`ingest ${ingest.claim.record.ref}`, () => ingest.letGo());
    } finally {
      await ingest.close(this.#isBlob);
      this.#host.finished(this);
      this.#host.changed(ingest.claim);
    }
  }

  async #exclusively<T>(call: () => Promise<T>): Promise<T> {
    this.#mustBeOpen();
    if (this.#current !== undefined) throw this.#precondition("another call is under way");
    const current = about(`ingest ${this.claim.record.ref}`, call);
    this.#current = current;
    try {
      return await current;
    } finally {
      this.#current = undefined;
    }
  }

  #mustBeOpen(): void {
    if (this.#lost !== undefined) throw this.#lost;
    if (this.#isClosed) throw this.#precondition("the writer is closed");
  }

  /** The claim does not stand any more. */
  #lose(): CodedError {
    this.#lost ??= whyLost(this.claim);
    return this.#lost;
  }

  /** Looks, now and then, whether another process has aborted the ingest or taken it over. */
  #watch(): void {
    const now = performance.now();
    if (now - this.#watchedAt < Math.min(watchEveryMs, this.#host.stallMs / 4)) return;
    this.#watchedAt = now;
    try {
      if (holds(this.claim)) return;
    } catch (error) {
      if (isErrno(error, "EMFILE", "ENFILE")) return;
      throw error;
    }
    throw this.#lose();
  }

  #algorithm(): DigestAlgorithm {
    const { digest } = this.#expected;
    return digest === undefined ? "sha256" : digestAlgorithm(digest);
  }

  #precondition(why: string): CodedError {
    return new CodedError("ERR_FAILED_PRECONDITION", `ingest ${this.claim.record.ref}: ${why}`);
  }
}
