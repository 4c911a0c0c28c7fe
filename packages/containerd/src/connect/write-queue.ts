import { CodedError } from "@varve/errors";
import { untilAborted } from "@varve/locks";
import { WriteAction } from "../gen/containerd/services/content/v1/content_pb.js";
import type { WriteContentResponse } from "../gen/containerd/services/content/v1/content_pb.js";
import { toNumber } from "../wire/values.ts";
import type { WriteStream } from "./write-stream.ts";

/** Of one message, and of what waits for the answer to the one before. */
const maxBytes = 1024 * 1024;

/**
 * Appends to an ingest. While one message waits for its answer the next one is filled, so that small chunks cost no round trip
 * each; what went wrong with one shows at the next call.
 */
export class WriteQueue {
  readonly #stream: WriteStream;
  readonly #ref: string;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #answered: WriteContentResponse;
  #offset: number;
  #sending: Promise<void> | undefined;
  #failure: { readonly reason: unknown; isTold: boolean } | undefined;

  constructor(stream: WriteStream, ref: string, opened: WriteContentResponse) {
    this.#stream = stream;
    this.#ref = ref;
    this.#answered = opened;
    this.#offset = toNumber(opened.offset);
  }

  /** Bytes of the ingest, and of what is on its way there. */
  get offset(): number {
    return this.#offset;
  }

  /** Of the bytes that containerd has. */
  get digest(): string {
    return this.#answered.digest;
  }

  async append(chunk: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    this.#mustGoOn();
    while (this.#waitingBytes >= maxBytes && this.#sending !== undefined) {
      await untilAborted(this.#sending, signal);
      this.#mustGoOn();
    }
    if (chunk.byteLength === 0) return;
    this.#waiting.push(new Uint8Array(chunk));
    this.#waitingBytes += chunk.byteLength;
    this.#offset += chunk.byteLength;
    this.#start();
  }

  /** Waits until containerd has everything. */
  async settle(signal?: AbortSignal): Promise<void> {
    while (this.#sending !== undefined) await untilAborted(this.#sending, signal);
    this.#mustGoOn();
  }

  /** Begins anew, with nothing. */
  async truncate(): Promise<void> {
    this.#drop();
    await this.settle();
    // To containerd's own client this is a matter of its next message. One without data begins anew, too (P-CS.5).
    if (this.#answered.offset > 0n) {
      this.#answered = await this.#stream.send({ action: WriteAction.WRITE, ref: this.#ref, offset: 0n });
    }
    this.#offset = 0;
  }

  /** Gives up what is not sent yet, and waits for what is. Whoever calls next gets the reason. */
  async fail(reason: unknown): Promise<void> {
    this.#drop();
    this.#failure ??= { reason, isTold: false };
    await this.#sending;
  }

  /** As `settle`, unless the caller knows already what is wrong. */
  async flush(): Promise<void> {
    if (this.#failure?.isTold === true) await this.#sending;
    else await this.settle();
  }

  #start(): void {
    if (this.#sending !== undefined || this.#waitingBytes === 0 || this.#failure !== undefined) return;
    this.#sending = this.#send(this.#take()).then(
      () => this.#sent(),
      (reason: unknown) => {
        this.#failure ??= { reason, isTold: false };
        this.#sent();
      },
    );
  }

  #sent(): void {
    this.#sending = undefined;
    this.#start();
  }

  async #send(data: Uint8Array): Promise<void> {
    const { offset } = this.#answered;
    const answer = await this.#stream.send({ action: WriteAction.WRITE, ref: this.#ref, offset, data });
    this.#answered = answer;
    if (answer.offset !== offset + BigInt(data.byteLength)) {
      const text = `ingest ${this.#ref}: containerd is at ${answer.offset} after ${data.byteLength} bytes at ${offset}`;
      throw new CodedError("ERR_DATA_LOSS", text);
    }
  }

  /** As much as fits into one message. */
  #take(): Uint8Array {
    const taken: Uint8Array[] = [];
    let room = maxBytes;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      taken.push(next.subarray(0, room));
      if (next.byteLength > room) this.#waiting.unshift(next.subarray(room));
      room -= Math.min(room, next.byteLength);
      if (room === 0) break;
    }
    this.#waitingBytes -= maxBytes - room;
    const [only] = taken;
    return taken.length === 1 && only !== undefined ? only : Buffer.concat(taken);
  }

  #drop(): void {
    this.#offset -= this.#waitingBytes;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #mustGoOn(): void {
    if (this.#failure === undefined) return;
    this.#failure.isTold = true;
    throw this.#failure.reason;
  }
}
