import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ContentStore, Expected, Writer } from "@varve/content";
import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import { WriteAction } from "../gen/containerd/services/content/v1/content_pb.js";
import type {
  WriteContentRequest,
  WriteContentResponseSchema,
} from "../gen/containerd/services/content/v1/content_pb.js";
import { fromDate, toNumber } from "../wire/values.ts";
import { toDigest } from "./content-messages.ts";

type Answer = MessageInitShape<typeof WriteContentResponseSchema>;

/** One client that writes one ingest: its writer, and what it has told so far of the blob it wants. */
export class WriteSession {
  readonly #content: ContentStore;
  readonly #writer: Writer;
  readonly #ref: string;
  readonly #signal: AbortSignal;
  #expected: Expected = {};

  private constructor(content: ContentStore, writer: Writer, ref: string, signal: AbortSignal) {
    this.#content = content;
    this.#writer = writer;
    this.#ref = ref;
    this.#signal = signal;
  }

  /**
   * Begins as the first request says, which is to be answered then.
   *
   * @throws ERR_INVALID_ARGUMENT it names no ref
   * @throws ERR_ALREADY_EXISTS the blob it expects is stored
   * @throws ERR_UNAVAILABLE somebody else writes the ref
   */
  static async open(content: ContentStore, first: WriteContentRequest, signal: AbortSignal): Promise<WriteSession> {
    const { ref } = first;
    if (ref === "") throw new CodedError("ERR_INVALID_ARGUMENT", "ingest: the first message names no ref");
    try {
      const writer = await content.writer(ref, { expected: learn({}, first), signal });
      return new WriteSession(content, writer, ref, signal);
    } catch (error) {
      if (hasCode(error, "ERR_ALREADY_EXISTS")) await dropIdle(content, ref);
      throw error;
    }
  }

  /** @throws ERR_ALREADY_EXISTS the blob it expects is stored; the ingest is gone */
  async answer(request: WriteContentRequest): Promise<Answer> {
    this.#expected = learn(this.#expected, request);
    if (request.expected !== "") await this.#mustBeMissing();
    switch (request.action) {
      case WriteAction.STAT:
        return this.#stat();
      case WriteAction.WRITE:
        await this.#write(request);
        return this.#state(WriteAction.WRITE, await this.#writer.digest());
      case WriteAction.COMMIT:
        await this.#write(request);
        return this.#commit(request);
      default:
        // Of a client that is newer.
        throw new CodedError("ERR_INVALID_ARGUMENT", `ingest ${this.#ref}: the action is unknown`);
    }
  }

  /** Frees the ref. What is not committed stays. */
  async close(): Promise<void> {
    await this.#writer.close();
  }

  async #stat(): Promise<Answer> {
    const digest = await this.#writer.digest();
    const { startedAt, updatedAt } = this.#writer.status();
    return {
      ...this.#state(WriteAction.STAT, digest),
      total: BigInt(this.#expected.size ?? 0),
      startedAt: fromDate(startedAt),
      updatedAt: fromDate(updatedAt),
    };
  }

  async #write({ offset, data }: WriteContentRequest): Promise<void> {
    const { offset: current } = this.#writer.status();
    if (offset === 0n) {
      if (current > 0) await this.#writer.truncate();
    } else if (offset !== BigInt(current)) {
      const where = `bytes for offset ${offset}, the current one is ${current}`;
      throw new CodedError("ERR_OUT_OF_RANGE", `ingest ${this.#ref}: ${where}`);
    }
    if (data.byteLength > 0) await this.#writer.write(data, { signal: this.#signal });
  }

  async #commit({ labels }: WriteContentRequest): Promise<Answer> {
    const digest = await this.#writer.commit(this.#expected, { labels, signal: this.#signal });
    return this.#state(WriteAction.COMMIT, digest);
  }

  #state(action: WriteAction, digest: Digest): Answer {
    return { action, digest, offset: BigInt(this.#writer.status().offset) };
  }

  /** The ingest goes before the writer is closed, or it might be somebody else's that goes. */
  async #mustBeMissing(): Promise<void> {
    if (!(await isStored(this.#content, this.#expected, this.#signal))) return;
    try {
      await this.#content.abort(this.#ref, { signal: this.#signal });
    } catch (error) {
      if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
    }
    throw new CodedError("ERR_ALREADY_EXISTS", `content ${this.#expected.digest}: already exists`);
  }
}

/** A blob of another size is damaged: it does not count, so that it can be written anew. */
async function isStored(content: ContentStore, { digest, size }: Expected, signal: AbortSignal): Promise<boolean> {
  if (digest === undefined) return false;
  try {
    const info = await content.info(digest, { signal });
    return size === undefined || info.size === size;
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return false;
    throw error;
  }
}

/** What any request may say or say differently: the last word counts (P-CS.1). */
function learn(known: Expected, { expected, total }: WriteContentRequest): Expected {
  return {
    digest: expected === "" ? known.digest : toDigest(expected),
    size: total > 0n ? toNumber(total) : known.size,
  };
}

/** Nobody needs what is left of an ingest whose blob is stored, unless somebody writes there at the moment. */
async function dropIdle(content: ContentStore, ref: string): Promise<void> {
  try {
    await content.status(ref);
    const writer = await content.writer(ref);
    try {
      await content.abort(ref);
    } finally {
      await writer.close();
    }
  } catch {
    // There is none, it is in use, or it stays until it is collected: the answer is that the blob exists.
  }
}
