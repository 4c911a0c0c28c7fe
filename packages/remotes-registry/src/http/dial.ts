import { isIP } from "node:net";
import type { Socket } from "node:net";
import { connect as startTls } from "node:tls";
import type { SecureContext, TLSSocket } from "node:tls";
import { connectToHost } from "./addresses.ts";
import { bareHost } from "./no-proxy.ts";
import type { Proxy } from "./proxies.ts";
import { openTunnel } from "./tunnel.ts";

/** How a host is reached. */
export interface Way {
  /** What to connect to: scheme, host and port. */
  readonly url: URL;
  readonly proxy: Proxy | undefined;
  readonly context: () => SecureContext;
  /** For a proxy that is spoken to by https: nobody's client certificates. */
  readonly proxyContext: () => SecureContext;
  readonly verify: boolean;
  /** Whether to offer HTTP/2. */
  readonly http2: boolean;
  /** Milliseconds for all of it: name, connection, proxy, TLS. */
  readonly timeout: number;
}

/** Nothing stood when the time for connecting was over. */
class ConnectTimeout extends Error {
  readonly code = "UND_ERR_CONNECT_TIMEOUT";

  constructor() {
    super("connecting took too long");
    this.name = "ConnectTimeout";
  }
}

/** Something on the way to a proxy, or in it, failed. */
export class ProxyFailure extends Error {
  readonly code = "PROXY_FAILURE";
  readonly host: string;

  constructor(host: string, cause: unknown) {
    super(`proxy ${host}`, { cause });
    this.name = "ProxyFailure";
    this.host = host;
  }
}

/**
 * Opens a connection: to the host or to its proxy, through that, and TLS over it. A signal ends it at every step, and a failure
 * leaves no socket.
 */
export async function dial(way: Way, signal: AbortSignal): Promise<Socket> {
  const timer = new AbortController();
  const timeout = setTimeout(() => timer.abort(new ConnectTimeout()), way.timeout);
  try {
    return await steps(way, AbortSignal.any([signal, timer.signal]));
  } finally {
    clearTimeout(timeout);
  }
}

async function steps(way: Way, signal: AbortSignal): Promise<Socket> {
  const { url, proxy } = way;
  // Before there is a socket: it may throw.
  const tls = url.protocol === "https:" ? { context: way.context(), verify: way.verify, http2: way.http2 } : undefined;
  const raw = proxy === undefined ? await connectTo(url, signal) : await throughProxy(way, proxy, signal);
  return tls === undefined ? raw : secured(raw, url, tls, signal);
}

async function throughProxy(way: Way, proxy: Proxy, signal: AbortSignal): Promise<Socket> {
  try {
    const socket = await toProxy(way, proxy, signal);
    // Of plain http a proxy is asked by full addresses.
    return way.url.protocol === "https:" ? await openTunnel(socket, proxy, authorityOf(way.url), signal) : socket;
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ProxyFailure(proxy.host, error);
  }
}

async function toProxy(way: Way, proxy: Proxy, signal: AbortSignal): Promise<Socket> {
  if (proxy.url.protocol !== "https:") return connectTo(proxy.url, signal);
  const tls = { context: way.proxyContext(), verify: true, http2: false };
  return secured(await connectTo(proxy.url, signal), proxy.url, tls, signal);
}

function connectTo(url: URL, signal: AbortSignal): Promise<Socket> {
  return connectToHost(bareHost(url), portOf(url), signal);
}

function portOf(url: URL): number {
  return url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
}

function authorityOf(url: URL): string {
  return `${url.hostname}:${portOf(url)}`;
}

interface TlsWay {
  readonly context: SecureContext;
  readonly verify: boolean;
  readonly http2: boolean;
}

function secured(socket: Socket, url: URL, way: TlsWay, signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const host = bareHost(url);
    const secure = startTls({
      socket,
      host,
      // A name only: addresses are not sent (RFC 6066), but held against the certificate all the same.
      ...(isIP(host) === 0 && { servername: host }),
      secureContext: way.context,
      rejectUnauthorized: way.verify,
      ALPNProtocols: way.http2 ? ["h2", "http/1.1"] : ["http/1.1"],
    });
    const fail = (reason: unknown): void => {
      signal.removeEventListener("abort", abort);
      secure.destroy();
      socket.destroy();
      reject(reason);
    };
    const abort = (): void => fail(signal.reason);
    // Stays, since a socket that is given up may still fail.
    secure.on("error", fail);
    if (signal.aborted) {
      abort();
      return;
    }
    signal.addEventListener("abort", abort, { once: true });
    secure.once("secureConnect", () => {
      signal.removeEventListener("abort", abort);
      secure.removeListener("error", fail);
      resolve(secure);
    });
  });
}
