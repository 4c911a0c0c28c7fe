import { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { CodedError } from "@varve/errors";
import { untilAborted } from "@varve/locks";
import type { ClientCertificate } from "../hosts/endpoint.ts";
import type { Settings } from "../options.ts";
import { Attempt } from "./connection.ts";
import { Network } from "./network.ts";
import type { ConnectionSettings } from "./network.ts";
import { networkFailure, noteRedirected, proxyStatusFailure, wasClosed } from "./network-failure.ts";
import { describeUrl } from "./printable.ts";
import { isRedirect, maxRedirects, redirectFailure, redirectTarget, withoutSecrets } from "./redirects.ts";
import { Reply } from "./reply.ts";
import { trace } from "./trace.ts";

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

/** How one endpoint is reached, where that differs from the resolver's options. A `RegistryEndpoint` is one. */
export interface EndpointSettings {
  readonly certificateAuthorities?: readonly string[] | undefined;
  readonly clientCertificates?: readonly ClientCertificate[] | undefined;
  readonly skipVerify?: boolean | undefined;
  readonly connectTimeout?: number | undefined;
}

interface Endpoint {
  /** As in addresses, without a port. */
  readonly hostname: string;
  readonly settings: EndpointSettings;
}

// More of them before an answer are a flood: real servers send one or two.
const maxInterim = 20;

/** Sends requests over connections of its own, and follows redirects without giving secrets away. */
export class Transport {
  readonly #network: Network;
  readonly #endpoint: Endpoint | undefined;

  constructor(settings: Settings | Network, endpoint?: Endpoint) {
    this.#network = settings instanceof Network ? settings : new Network(settings);
    this.#endpoint = endpoint;
  }

  /**
   * A transport for what one endpoint needs: itself, its token server, and where it redirects to. Its authorities hold for all of
   * these; its client certificates, and that it need not be verified, for its own host name only.
   *
   * @param host as in `URL.host`
   */
  forEndpoint(host: string, settings: EndpointSettings): Transport {
    const hostname = URL.parse(`https://${host}`)?.hostname ?? host;
    return new Transport(this.#network, { hostname, settings });
  }

  /** Ends all connections at once, also those of other endpoints; what is running fails. */
  close(): Promise<void> {
    return this.#network.close();
  }

  /**
   * Follows redirects, ten at most and no address twice. From the first hop to another origin on, only harmless
   * headers are sent, also on the way back.
   */
  async exchange(request: Exchange): Promise<Reply> {
    const seen = new Set<string>();
    let { url, headers, foreign = false } = request;
    for (;;) {
      request.allow(url);
      seen.add(url.href);
      const reply = await this.#answered(request, { url, headers, foreign }).catch((error: unknown) => {
        if (seen.size > 1) noteRedirected(error);
        throw error;
      });
      if (!isRedirect(reply, request)) return reply;
      await reply.discard();
      const target = redirectTarget(reply, request);
      if (seen.has(target.href) || seen.size > maxRedirects) throw redirectFailure(request, seen.size);
      if (target.origin !== url.origin) {
        foreign = true;
        headers = withoutSecrets(headers);
      }
      url = target;
    }
  }

  /** Servers close idle connections when they like; a request that met that is sent again, once, and nobody need know. */
  async #answered(request: Exchange, hop: Hop): Promise<Reply> {
    const attempt = new Attempt(request.signal);
    try {
      return await this.#once(request, hop, attempt);
    } catch (error) {
      if (!attempt.reused || !mayRepeat(request) || !wasClosed(error)) throw error;
      return this.#once(request, hop, new Attempt(request.signal));
    }
  }

  async #once(request: Exchange, hop: Hop, attempt: Attempt): Promise<Reply> {
    const { method, signal } = request;
    const { url, foreign } = hop;
    signal?.throwIfAborted();
    const { secrets, notices, settings } = this.#network;
    secrets.addHeaders(hop.headers);
    const began = performance.now();
    try {
      const response = await this.#send(request, hop, attempt);
      trace(this.#network, { method, url, headers: hop.headers, began, response });
      if (!foreign) notices.read(url.host, response.headers);
      return new Reply(response, { method, url, foreign, signal, secrets, idleTimeout: settings.idleTimeout });
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      const failure = networkFailure(error, { method, url, idleTimeout: settings.idleTimeout });
      trace(this.#network, { method, url, headers: hop.headers, began, failure });
      throw failure;
    }
  }

  async #send(
    request: Exchange,
    { url, headers, foreign }: Hop,
    attempt: Attempt,
  ): Promise<Dispatcher.ResponseData<Attempt>> {
    const { method } = request;
    if (this.#network.isClosed) throw new CodedError("ERR_FAILED_PRECONDITION", `registry ${url.host}: closed`);
    const proxy = this.#network.proxyFor(url);
    const forwarded = proxy !== undefined && url.protocol === "http:";
    const flood = new AbortController();
    const signal = request.signal === undefined ? flood.signal : AbortSignal.any([request.signal, flood.signal]);
    const body =
      typeof request.body === "function" ? Readable.from(request.body(), { objectMode: false }) : request.body;
    let interim = 0;
    try {
      const pending = this.#network.agent(this.#connectionTo(url, foreign), proxy).request({
        origin: url.origin,
        path: `${forwarded ? url.origin : ""}${url.pathname}${url.search}`,
        method,
        headers: {
          ...headers,
          ...(forwarded && proxy.authorization !== undefined && { "proxy-authorization": proxy.authorization }),
        },
        // undici gives up the connection after a HEAD, for servers that answer one with a body. We ask by HEAD a lot, and
        // what such a server sends too much is an error of the next exchange, which is repeated.
        reset: false,
        signal,
        opaque: attempt,
        onInfo: () => {
          interim += 1;
          if (interim > maxInterim) flood.abort(floodFailure(method, url));
        },
        ...(body !== undefined && { body }),
      });
      const response = await untilAborted(pending, signal);
      if (!forwarded || response.statusCode !== 407) return response;
      response.body.on("error", () => undefined).destroy();
      throw proxyStatusFailure(url, proxy.host, 407);
    } catch (error) {
      if (body instanceof Readable) body.destroy();
      throw error;
    }
  }

  /** Whom to trust, and whom to tell who we are. */
  #connectionTo(url: URL, foreign: boolean): ConnectionSettings {
    const all = this.#network.settings;
    const special = this.#endpoint?.settings ?? {};
    const own = this.#endpoint === undefined ? !foreign : this.#endpoint.hostname === url.hostname;
    const skip = (own ? special.skipVerify : undefined) ?? (own || !foreign ? all.skipVerify(url.host) : false);
    return {
      authorities: [...all.certificateAuthorities, ...(special.certificateAuthorities ?? [])],
      certificates: own ? (special.clientCertificates ?? all.clientCertificates) : [],
      verify: !skip,
      timeout: (own ? special.connectTimeout : undefined) ?? all.connectTimeout,
    };
  }
}

interface Hop {
  readonly url: URL;
  readonly headers: Exchange["headers"];
  readonly foreign: boolean;
}

/** Whether sending it twice does the same as sending it once, and costs no more. */
function mayRepeat({ method, body }: Exchange): boolean {
  return method === "GET" || method === "HEAD" || (method === "PUT" && body instanceof Uint8Array);
}

function floodFailure(method: Method, url: URL): CodedError {
  return new CodedError("ERR_INVALID_DATA", `${method} ${describeUrl(url)}: more than ${maxInterim} interim answers`);
}
