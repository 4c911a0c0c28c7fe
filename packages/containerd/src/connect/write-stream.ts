import type { MessageInitShape } from "@bufbuild/protobuf";
import { CodedError } from "@varve/errors";
import { Content } from "../gen/containerd/services/content/v1/content_pb.js";
import type {
  WriteContentRequestSchema,
  WriteContentResponse,
} from "../gen/containerd/services/content/v1/content_pb.js";
import type { Caller } from "./caller.ts";

export type WriteMessage = MessageInitShape<typeof WriteContentRequestSchema>;

/** One call of `Content.Write`, which holds the lock of a ref from its first message to its end: an answer for each message. */
export class WriteStream {
  readonly #caller: Caller;
  readonly #messages: Outbox<WriteMessage> = new Outbox();
  readonly #stop: AbortController = new AbortController();
  readonly #answers: AsyncIterator<WriteContentResponse>;

  constructor(caller: Caller) {
    caller.connection.mustBeOpen();
    this.#caller = caller;
    const answers = caller.client(Content).write(this.#messages, caller.options(this.#stop.signal));
    this.#answers = answers[Symbol.asyncIterator]();
  }

  /** Only one at a time. */
  async send(message: WriteMessage): Promise<WriteContentResponse> {
    this.#messages.put(message);
    try {
      const answer = await this.#answers.next();
      if (answer.done !== true) return answer.value;
    } catch (error) {
      this.#messages.end();
      throw this.#caller.connection.failure(error, this.#stop.signal);
    }
    throw new CodedError("ERR_INTERNAL", "containerd: ended a write before its commit");
  }

  /** Ends the call in an orderly way, and waits until containerd has let go of the ref. */
  async end(): Promise<void> {
    this.#messages.end();
    try {
      // Containerd says its last answer twice (P-CS.6).
      while ((await this.#answers.next()).done !== true);
    } catch {
      // Broken off it is over as well, and what was answered before is kept.
    }
  }

  /** Breaks off. What waits for an answer is rejected with the reason. */
  cancel(reason: unknown): void {
    this.#messages.end();
    this.#stop.abort(reason);
  }
}

/** What is to be sent. */
class Outbox<T> implements AsyncIterable<T> {
  readonly #waiting: T[] = [];
  #isEnded = false;
  #changed: PromiseWithResolvers<void> = Promise.withResolvers();

  put(item: T): void {
    this.#waiting.push(item);
    this.#changed.resolve();
  }

  end(): void {
    this.#isEnded = true;
    this.#changed.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next !== undefined) yield next;
      else if (this.#isEnded) return;
      else {
        await this.#changed.promise;
        this.#changed = Promise.withResolvers();
      }
    }
  }
}
