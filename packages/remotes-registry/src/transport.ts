import { Readable } from "node:stream";
import { rootCertificates } from "node:tls";
import { Agent } from "undici";
import type { Dispatcher } from "undici";
import { CodedError } from "@varve/errors";
import { networkFailure } from "./network-failure.ts";
import type { Settings } from "./options.ts";
import { describeUrl } from "./printable.ts";
import { Reply } from "./reply.ts";

export type Method = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface Exchange {
  readonly method: Method;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Called again for each attempt. */
  readonly body?: (() => AsyncIterable<Uint8Array>) | Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The address is one that a redirect led to. Default: false. */
  readonly foreign?: boolean | undefined;
  /** Judges an address before it is asked, the first one and every redirect; throws to refuse. */
  readonly allow: (url: URL) => void;
}

const maxRedirects = 10;
const alwaysFollowed: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const followedWithBody: ReadonlySet<number> = new Set([307, 308]);
// What may go to a host that a registry redirects to. Above all not: Authorization, Cookie, headers of the user.
const harmlessHeaders: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "content-length",
  "content-type",
  "range",
  "user-agent",
]);

/** Sends requests over connections of its own, and follows redirects without giving secrets away. */
export class Transport {
  readonly #agent: Agent;
  readonly #idleTimeout: number;

  constructor(settings: Settings) {
    const { certificateAuthorities: extra, connectTimeout, idleTimeout } = settings;
    this.#idleTimeout = idleTimeout;
    this.#agent = new Agent({
      // One connection a transfer: streams of one HTTP/2 connection would share its window and its losses.
      allowH2: false,
      connect: { timeout: connectTimeout, ...(extra.length > 0 && { ca: [...rootCertificates, ...extra] }) },
      headersTimeout: idleTimeout,
      bodyTimeout: idleTimeout,
    });
  }

  /** Ends all exchanges and connections. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /**
   * Asks and follows redirects: at most 10, no address twice. From the first hop to another origin on, only harmless
   * headers are sent, also on the way back.
   */
  async exchange(request: Exchange): Promise<Reply> {
    const seen = new Set<string>();
    let { url, headers, foreign = false } = request;
    for (;;) {
      request.allow(url);
      seen.add(url.href);
      const reply = await this.#once(request, url, headers, foreign);
      const target = redirectTarget(reply, request);
      if (target === undefined) return reply;
      await reply.discard();
      if (seen.has(target.href) || seen.size > maxRedirects) throw redirectFailure(request, seen.size);
      if (target.origin !== url.origin) {
        foreign = true;
        headers = withoutSecrets(headers);
      }
      url = target;
    }
  }

  async #once(request: Exchange, url: URL, headers: Exchange["headers"], foreign: boolean): Promise<Reply> {
    const { method, signal } = request;
    signal?.throwIfAborted();
    const body =
      typeof request.body === "function" ? Readable.from(request.body(), { objectMode: false }) : request.body;
    try {
      const pending = this.#agent.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers,
        // undici gives up the connection after a HEAD, for servers that answer one with a body. We ask by HEAD a lot, and
        // what such a server sends too much is an error of the next exchange, which is repeated.
        reset: false,
        ...(body !== undefined && { body }),
        ...(signal !== undefined && { signal }),
      });
      const response = await untilAborted(pending, signal);
      return new Reply(response, { method, url, foreign, signal, idleTimeout: this.#idleTimeout });
    } catch (error) {
      if (body instanceof Readable) body.destroy();
      if (signal?.aborted === true) throw signal.reason;
      throw networkFailure(error, method, url, this.#idleTimeout);
    }
  }
}

/** What of some headers may go to any host. */
export function withoutSecrets(headers: Exchange["headers"]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => harmlessHeaders.has(name)));
}

function redirectTarget(reply: Reply, request: Exchange): URL | undefined {
  const followed = request.method === "GET" || request.method === "HEAD" ? alwaysFollowed : followedWithBody;
  const location = reply.header("location");
  if (!followed.has(reply.status) || location === undefined) return undefined;
  const target = URL.parse(location, reply.url.href);
  if (target === null || (target.protocol !== "http:" && target.protocol !== "https:")) {
    throw new CodedError("ERR_INVALID_DATA", `${request.method} ${describeUrl(request.url)}: redirected to no address`);
  }
  return target;
}

function redirectFailure(request: Exchange, hops: number): CodedError {
  const why = hops > maxRedirects ? `more than ${maxRedirects} redirects` : "redirected in a circle";
  return new CodedError("ERR_INVALID_DATA", `${request.method} ${describeUrl(request.url)}: ${why}`);
}

/** undici looks at the signal only once a connection stands; a caller who gives up must not wait for that. */
function untilAborted(
  pending: Promise<Dispatcher.ResponseData>,
  signal: AbortSignal | undefined,
): Promise<Dispatcher.ResponseData> {
  if (signal === undefined) return pending;
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason);
      pending.then(
        (late) => late.body.on("error", () => undefined).destroy(),
        () => undefined,
      );
    };
    signal.addEventListener("abort", abort, { once: true });
    pending.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
