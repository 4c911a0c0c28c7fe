import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type {
  Content,
  WriteContentRequestSchema,
  WriteContentResponse,
} from "../src/gen/containerd/services/content/v1/content_pb.js";

type Request = MessageInitShape<typeof WriteContentRequestSchema>;

/** One write stream as upstream's clients have it: a request, an answer, a request. */
export class Dialogue {
  readonly #requests: (Request | undefined)[] = [];
  readonly #answers: AsyncIterator<WriteContentResponse>;
  #wake: () => void = () => {};

  constructor(client: Client<typeof Content>, signal: AbortSignal = new AbortController().signal) {
    this.#answers = client.write(this.#stream(), { signal })[Symbol.asyncIterator]();
  }

  async ask(request: Request): Promise<WriteContentResponse> {
    this.#send(request);
    const { value, done } = await this.#answers.next();
    if (done === true) throw new Error("the server ended the stream");
    return value;
  }

  /** Sends no more, and gives what still comes. */
  async end(): Promise<WriteContentResponse[]> {
    this.#send(undefined);
    return this.rest();
  }

  /** What still comes until the server ends the stream. */
  rest(): Promise<WriteContentResponse[]> {
    return Array.fromAsync({ [Symbol.asyncIterator]: () => this.#answers });
  }

  #send(request: Request | undefined): void {
    this.#requests.push(request);
    this.#wake();
  }

  async *#stream(): AsyncGenerator<Request, void, undefined> {
    for (;;) {
      while (this.#requests.length === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      const request = this.#requests.shift();
      if (request === undefined) return;
      yield request;
    }
  }
}
