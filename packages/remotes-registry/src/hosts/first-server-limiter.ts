import { CodedError } from "@varve/errors";
import { untilAborted } from "@varve/locks";
import type { Limiter, Release, WaitOptions } from "@varve/locks";
import type { Route } from "./registry-hosts.ts";

/** Places at a server that is known only once the registry's servers are. */
export class FirstServerLimiter implements Limiter {
  readonly #servers: () => Promise<readonly Route[]>;

  constructor(servers: () => Promise<readonly Route[]>) {
    this.#servers = servers;
  }

  async acquire(options: WaitOptions = {}): Promise<Release> {
    return (await this.#first(options)).acquire(options);
  }

  async run<T>(body: () => Promise<T>, options: WaitOptions = {}): Promise<T> {
    return (await this.#first(options)).run(body, options);
  }

  async #first({ signal }: WaitOptions): Promise<Limiter> {
    const [first] = await untilAborted(this.#servers(), signal);
    if (first === undefined) throw new CodedError("ERR_INTERNAL", "registry: no server");
    return first.host.transfers;
  }
}
