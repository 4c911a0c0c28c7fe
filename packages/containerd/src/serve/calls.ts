import type { Interceptor } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { isOwnFault, toStatus } from "../wire/status.ts";

/** A status travels in a header, which has to stay small whatever is named in it. */
const longestMessage = 4096;

export interface CallsOptions {
  /** Told of what is no fault of the caller. */
  readonly onFault: (method: string, error: unknown) => void;
}

/** The calls under way, and what becomes of those that fail. */
export class Calls {
  /** Ends the calls under way. */
  readonly shutdown: AbortController = new AbortController();
  readonly #options: CallsOptions;
  #running = 0;
  #waiting: (() => void)[] = [];

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  /** Settles when no call is under way. */
  idle(): Promise<void> {
    return this.#running === 0 ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Has calls under way end with a status that lets the caller try again. */
  abort(): void {
    this.shutdown.abort(new ConnectError("the server is closing", Code.Unavailable));
  }

  readonly interceptor: Interceptor = (next) => async (request) => {
    const { method, signal } = request;
    const failed = (error: unknown): ConnectError =>
      this.#failed(`${method.parent.typeName}/${method.name}`, error, signal);
    const response = await this.#counted(() => next(request)).catch((error: unknown) => {
      throw failed(error);
    });
    return response.stream ? { ...response, message: this.#told(response.message, failed) } : response;
  };

  async #counted<T>(call: () => Promise<T>): Promise<T> {
    this.#running += 1;
    try {
      return await call();
    } finally {
      this.#ended();
    }
  }

  async *#told<T>(messages: AsyncIterable<T>, failed: (error: unknown) => ConnectError): AsyncGenerator<T> {
    this.#running += 1;
    try {
      // Not `yield*`: what is thrown here when nothing can be written is no failure of the call.
      for await (const message of failingAs(messages, failed)) yield message;
    } finally {
      this.#ended();
    }
  }

  #failed(method: string, error: unknown, signal: AbortSignal): ConnectError {
    const status = toStatus(error, signal);
    if (isOwnFault(status)) this.#options.onFault(method, error);
    const { rawMessage, code } = status;
    const message = rawMessage.length <= longestMessage ? rawMessage : `${rawMessage.slice(0, longestMessage)}…`;
    // Half of a character cannot be sent.
    return message === rawMessage && message.isWellFormed() ? status : new ConnectError(message.toWellFormed(), code);
  }

  #ended(): void {
    this.#running -= 1;
    if (this.#running > 0) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function failingAs<T>(messages: AsyncIterable<T>, failed: (error: unknown) => ConnectError): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = messages[Symbol.asyncIterator]();
      return {
        next: () =>
          iterator.next().catch((error: unknown) => {
            throw failed(error);
          }),
        return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
      };
    },
  };
}
