import type { CallOptions, CommitOptions, Expected, IngestStatus, Writer, WriterOptions } from "@varve/content";
import { parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import { WriteAction } from "../gen/containerd/services/content/v1/content_pb.js";
import type { WriteContentResponse } from "../gen/containerd/services/content/v1/content_pb.js";
import { toDate } from "../wire/values.ts";
import type { Caller } from "./caller.ts";
import { checkedLabels } from "./checked-labels.ts";
import { WriteQueue } from "./write-queue.ts";
import { WriteStream } from "./write-stream.ts";

/** Begins or continues the ingest `ref`. */
export async function openRemoteWriter(
  caller: Caller,
  ref: string,
  { expected = {}, signal }: WriterOptions,
): Promise<RemoteWriter> {
  if (ref === "") throw new CodedError("ERR_INVALID_ARGUMENT", "ingest: the ref is empty");
  const digest = expected.digest === undefined ? "" : parseDigest(expected.digest);
  signal?.throwIfAborted();
  const stream = new WriteStream(caller);
  const stop = (): void => stream.cancel(signal?.reason);
  signal?.addEventListener("abort", stop);
  try {
    const total = sizeOnTheWire(ref, expected.size);
    const opened = await stream.send({ action: WriteAction.STAT, ref, total, expected: digest });
    return new RemoteWriter(stream, ref, expected, opened);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** An ingest of containerd's. It is told which one in every message, or it could not end one whose blob is stored already (P-CS.2). */
export class RemoteWriter implements Writer {
  readonly #stream: WriteStream;
  readonly #queue: WriteQueue;
  readonly #ref: string;
  readonly #expected: Expected;
  readonly #startedAt: Date;
  #updatedAt: Date;
  #isClosed = false;
  readonly #end: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(stream: WriteStream, ref: string, expected: Expected, opened: WriteContentResponse) {
    this.#stream = stream;
    this.#queue = new WriteQueue(stream, ref, opened);
    this.#ref = ref;
    this.#expected = expected;
    this.#startedAt = toDate(opened.startedAt);
    this.#updatedAt = toDate(opened.updatedAt);
  }

  /** Resolves when the ref is free again. */
  get ended(): Promise<void> {
    return this.#end.promise;
  }

  status(): IngestStatus {
    const { size: total, digest: expected } = this.#expected;
    return {
      ref: this.#ref,
      offset: this.#queue.offset,
      ...(total === undefined ? {} : { total }),
      ...(expected === undefined ? {} : { expected }),
      startedAt: this.#startedAt,
      updatedAt: this.#updatedAt,
    };
  }

  async digest(): Promise<Digest> {
    this.#mustBeOpen();
    await this.#queue.settle();
    return parseDigest(this.#queue.digest);
  }

  async write(chunk: Uint8Array, { signal }: CallOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    this.#mustBeOpen();
    await this.#queue.append(chunk, signal);
    this.#updatedAt = new Date();
  }

  async truncate(): Promise<void> {
    this.#mustBeOpen();
    await this.#queue.truncate();
    this.#updatedAt = new Date();
  }

  async commit(expected: Expected = {}, { labels, signal }: CommitOptions = {}): Promise<Digest> {
    this.#mustBeOpen();
    this.#isClosed = true;
    try {
      signal?.throwIfAborted();
      await this.#queue.settle(signal);
      return await this.#commit({ ...this.#expected, ...expected }, labels);
    } finally {
      await this.#keep();
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return this.ended;
    this.#isClosed = true;
    try {
      await this.#queue.flush();
    } finally {
      await this.#finish();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Waits until containerd has all that was written. */
  async settled(): Promise<void> {
    // Why it does not get there is for the writer's own caller.
    await this.#queue.flush().catch(() => {});
  }

  /** Takes the ref away from the writer, unless it is at its end already. */
  async lose(): Promise<void> {
    if (!this.#isClosed) {
      await this.#queue.fail(new CodedError("ERR_ABORTED", `ingest ${this.#ref}: was aborted`));
      await this.#finish();
    }
    await this.ended;
  }

  async #commit(expected: Expected, labels: CommitOptions["labels"]): Promise<Digest> {
    const { offset } = this.#queue;
    const { digest, size } = expected;
    // To containerd a size of 0 says nothing.
    if (size !== undefined && size !== offset) {
      throw new CodedError("ERR_DIGEST_MISMATCH", `ingest ${this.#ref}: ${offset} bytes, expected ${size}`);
    }
    const message = {
      action: WriteAction.COMMIT,
      ref: this.#ref,
      offset: BigInt(offset),
      total: BigInt(offset),
      expected: digest === undefined ? "" : parseDigest(digest),
      labels: checkedLabels(`ingest ${this.#ref}`, labels ?? {}),
    };
    try {
      return parseDigest((await this.#stream.send(message)).digest);
    } catch (error) {
      if (!hasCode(error, "ERR_FAILED_PRECONDITION")) throw error;
      throw new CodedError("ERR_DIGEST_MISMATCH", `ingest ${this.#ref}: ${error.message}`, { cause: error });
    }
  }

  /** What was written stays, whatever came of the commit. */
  async #keep(): Promise<void> {
    await this.settled();
    await this.#finish();
  }

  async #finish(): Promise<void> {
    await this.#stream.end();
    this.#end.resolve();
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw new CodedError("ERR_FAILED_PRECONDITION", `ingest ${this.#ref}: the writer is closed`);
  }
}

function sizeOnTheWire(ref: string, size: number = 0): bigint {
  if (Number.isSafeInteger(size) && size >= 0) return BigInt(size);
  throw new CodedError("ERR_INVALID_ARGUMENT", `ingest ${ref}: ${size} is no size`);
}
