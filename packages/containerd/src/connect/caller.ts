import type { DescService } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import type { CallOptions, Client } from "@connectrpc/connect";
import type { Connection } from "./connection.ts";

/** Makes calls in one namespace and under one lease, and says in our terms what went wrong. */
export class Caller {
  readonly connection: Connection;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(connection: Connection, namespace: string, lease: string | undefined) {
    this.connection = connection;
    this.#headers = {
      "containerd-namespace": namespace,
      ...(lease === undefined ? {} : { "containerd-lease": lease }),
    };
  }

  client<S extends DescService>(service: S): Client<S> {
    return createClient(service, this.connection.transport);
  }

  /** A call that can be given up at any time. */
  async ask<T>(call: (options: CallOptions) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    this.connection.mustBeOpen();
    try {
      return await call(this.options(signal));
    } catch (error) {
      throw this.connection.failure(error, signal);
    }
  }

  /**
   * A call that changes something. Once it is sent its answer is waited for, whatever the signal says: whoever gave it up could
   * not know whether the change was made.
   */
  async change<T>(call: (options: CallOptions) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    return this.ask(call);
  }

  /**
   * A list that comes in several messages. It is taken as a whole before anything is done with it: containerd may keep its
   * database from growing as long as somebody reads.
   */
  list<T>(
    call: (options: CallOptions) => AsyncIterable<{ readonly info: readonly T[] }>,
    signal?: AbortSignal,
  ): Promise<T[]> {
    return this.ask(async (options) => {
      const all: T[] = [];
      for await (const { info } of call(options)) for (const each of info) all.push(each);
      return all;
    }, signal);
  }

  options(signal: AbortSignal | undefined): CallOptions {
    return { headers: this.#headers, ...(signal === undefined ? {} : { signal }) };
  }
}
