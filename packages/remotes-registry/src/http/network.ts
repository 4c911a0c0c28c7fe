import type { SecureContext } from "node:tls";
import type { Agent as UndiciAgent, Pool as UndiciPool } from "undici";
import type { ClientCertificate } from "../hosts/endpoint.ts";
import type { Settings } from "../options.ts";
import { secureContext } from "./certificates.ts";
import { Connection } from "./connection.ts";
import { dial } from "./dial.ts";
import { NoticeBoard } from "./notice-board.ts";
import { chooseProxies } from "./proxies.ts";
import type { Proxy, ProxyChoice } from "./proxies.ts";
import { Secrets } from "./secrets.ts";
import { Agent, Pool } from "./undici.ts";

/** How connections to a host are made; equal settings share connections. */
export interface ConnectionSettings {
  readonly authorities: readonly string[];
  readonly certificates: readonly ClientCertificate[];
  readonly verify: boolean;
  readonly timeout: number;
}

// An idle connection is kept for as long as its server promises, within this; a hostile one cannot make us hoard sockets.
const maxIdle = 30_000;

/** What all transports of one resolver share: connections, proxies, and what was said before. */
export class Network {
  readonly settings: Settings;
  readonly secrets: Secrets = new Secrets();
  readonly notices: NoticeBoard;
  readonly #proxies: ProxyChoice;
  readonly #agents = new Map<string, UndiciAgent>();
  readonly #contexts = new Map<string, SecureContext>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(settings: Settings) {
    this.settings = settings;
    this.notices = new NoticeBoard(settings.onNotice, this.secrets);
    this.#proxies = chooseProxies(settings.proxy);
  }

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  /** The proxy by which an address is asked. */
  proxyFor(url: URL): Proxy | undefined {
    const proxy = this.#proxies(url);
    if (proxy?.authorization !== undefined) this.secrets.addAuthorization(proxy.authorization);
    return proxy;
  }

  /** The connections that are made so, through that proxy. */
  agent(settings: ConnectionSettings, proxy: Proxy | undefined): UndiciAgent {
    const { authorities, certificates, verify, timeout } = settings;
    const key = JSON.stringify([authorities, certificates, verify, timeout, proxy?.url.href, proxy?.authorization]);
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const agent = this.#open(settings, proxy);
    this.#agents.set(key, agent);
    return agent;
  }

  /** Ends all connections, those that are being opened too. */
  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    this.#closing.abort();
    await Promise.all(Array.from(this.#agents.values(), (agent) => agent.destroy()));
  }

  #open(settings: ConnectionSettings, proxy: Proxy | undefined): UndiciAgent {
    const { idleTimeout, http2 } = this.settings;
    const way = {
      proxy,
      context: () => this.#context(settings.authorities, settings.certificates),
      proxyContext: () => this.#context(this.settings.certificateAuthorities, []),
      verify: settings.verify,
      http2,
      timeout: settings.timeout,
    };
    const client = (origin: URL, options: object): Connection =>
      new Connection(origin, options, (signal) =>
        dial({ ...way, url: origin }, AbortSignal.any([signal, this.#closing.signal])),
      );
    return new Agent({
      allowH2: http2,
      headersTimeout: idleTimeout,
      bodyTimeout: idleTimeout,
      keepAliveMaxTimeout: maxIdle,
      factory: (origin, options: UndiciPool.Options) => new Pool(origin, { ...options, factory: client }),
    });
  }

  #context(authorities: readonly string[], certificates: readonly ClientCertificate[]): SecureContext {
    const key = JSON.stringify([authorities, certificates]);
    const known = this.#contexts.get(key);
    if (known !== undefined) return known;
    const context = secureContext(authorities, certificates);
    this.#contexts.set(key, context);
    return context;
  }
}
