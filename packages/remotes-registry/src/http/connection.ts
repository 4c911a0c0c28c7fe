import type { Socket } from "node:net";
import type { Client as UndiciClient, Dispatcher } from "undici";
import { Client } from "./undici.ts";

/** Opens the socket of a connection; ends when the signal says so. */
export type Dial = (signal: AbortSignal) => Promise<Socket>;

/** One request on its way to a connection. Passed through undici in `opaque`. */
export class Attempt {
  readonly signal: AbortSignal | undefined;
  /** It went out on a connection that had carried others before, which the other side may just be closing. */
  reused = false;

  constructor(signal: AbortSignal | undefined) {
    this.signal = signal;
  }
}

class NobodyWaits extends Error {
  readonly code = "UND_ERR_ABORTED";

  constructor() {
    super("nobody waits for the connection any more");
    this.name = "NobodyWaits";
  }
}

/**
 * undici's connection, which is given up while it is being opened if all who wait for it have gone: undici itself
 * looks at signals only once a socket stands.
 */
export class Connection extends Client {
  readonly #opening: Opening;
  #carried = 0;

  constructor(origin: URL, options: UndiciClient.Options, dial: Dial) {
    const opening = new Opening(dial);
    super(origin, { ...options, connect: (_to, callback) => opening.start(callback) });
    this.#opening = opening;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const attempt = "opaque" in options && options.opaque instanceof Attempt ? options.opaque : new Attempt(undefined);
    const started = this.#opening.wait(attempt.signal);
    return super.dispatch(options, {
      onRequestStart: (controller, context) => {
        started();
        attempt.reused = this.#carried > 0;
        handler.onRequestStart?.(controller, context);
      },
      onRequestUpgrade: (...rest) => handler.onRequestUpgrade?.(...rest),
      onResponseStart: (...rest) => handler.onResponseStart?.(...rest),
      onResponseData: (...rest) => handler.onResponseData?.(...rest),
      onResponseEnd: (...rest) => {
        this.#carried += 1;
        handler.onResponseEnd?.(...rest);
      },
      onResponseError: (...rest) => {
        started();
        handler.onResponseError?.(...rest);
      },
    });
  }
}

type Callback = (...result: [null, Socket] | [Error, null]) => void;

class Opening {
  readonly #dial: Dial;
  readonly #waiting = new Set<symbol>();
  #giveUp: (() => void) | undefined;

  constructor(dial: Dial) {
    this.#dial = dial;
  }

  start(callback: Callback): void {
    const stop = new AbortController();
    const once = (...result: Parameters<Callback>): void => {
      this.#giveUp = undefined;
      callback(...result);
    };
    let over = false;
    this.#giveUp = () => {
      over = true;
      stop.abort(new NobodyWaits());
      // At once: a request that comes now must not be put to a connection that is given up.
      once(new NobodyWaits(), null);
    };
    this.#dial(stop.signal).then(
      (socket) => (over ? void socket.destroy() : once(null, socket)),
      (error: unknown) => {
        if (!over) once(error instanceof Error ? error : new Error(String(error)), null);
      },
    );
  }

  /** @returns to be called when the wait is over */
  wait(signal: AbortSignal | undefined): () => void {
    const key = Symbol("request");
    this.#waiting.add(key);
    const end = (): void => {
      this.#waiting.delete(key);
      signal?.removeEventListener("abort", leave);
    };
    const leave = (): void => {
      end();
      if (this.#waiting.size === 0) this.#giveUp?.();
    };
    signal?.addEventListener("abort", leave, { once: true });
    return end;
  }
}
