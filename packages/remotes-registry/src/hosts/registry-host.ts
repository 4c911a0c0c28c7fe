import { CodedError, hasCode } from "@varve/errors";
import { createLimiter } from "@varve/locks";
import type { Limiter } from "@varve/locks";
import { Authorizer } from "../auth/authorizer.ts";
import type { Access, Refusal } from "../auth/authorizer.ts";
import { parseChallenges } from "../auth/challenge.ts";
import type { Challenge } from "../auth/challenge.ts";
import { loginAnonymously } from "../auth/foreign-login.ts";
import { failureOf } from "../http/failure.ts";
import { errorCode } from "../http/network-failure.ts";
import { describeUrl } from "../http/printable.ts";
import type { Reply } from "../http/reply.ts";
import { withRetries } from "../http/retry.ts";
import type { Exchange, Transport } from "../http/transport.ts";
import type { Settings } from "../options.ts";
import { speaksNoTls } from "./protocol-fallback.ts";
import { accessFor, addressOf, mayRepeat } from "./registry-request.ts";
import type { HostRequest } from "./registry-request.ts";

export type { RegistryRequest } from "./registry-request.ts";

/** One server, and how it is reached. */
export interface HostAddress {
  /** As it stands in references: credentials are looked up by it. */
  readonly name: string;
  /** Where its API begins, with a slash at the end. */
  readonly api: URL;
  /** Whether https may turn out to be http (N4). */
  readonly mayFallBack: boolean;
  /** Sent to this server only; in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

const loginHeaders: ReadonlySet<string> = new Set(["authorization", "cookie"]);
const maxRounds = 3;
const restMs = 30_000;
// A connection that ends says nothing about the next one.
const brokenOff = /^(?:ECONNRESET|EPIPE|UND_ERR_SOCKET|HPE_.*)$/;

/** One server: speaks to it with authentication and repetitions, in the right protocol. */
export class RegistryHost {
  readonly name: string;
  /** Held by whoever moves a blob. */
  readonly transfers: Limiter;
  readonly #address: HostAddress;
  readonly #settings: Settings;
  readonly #transport: Transport;
  readonly #authorizer: Authorizer;
  #api: URL;
  #mayFallBack: boolean;
  #restsUntil = 0;

  constructor(address: HostAddress, settings: Settings, transport: Transport) {
    this.name = address.name;
    this.#address = address;
    this.#settings = settings;
    this.#transport = transport;
    this.#authorizer = new Authorizer(address.name, settings, transport);
    this.transfers = createLimiter(settings.maxConcurrentPerHost);
    this.#api = address.api;
    this.#mayFallBack = address.mayFallBack;
  }

  /** It could not be reached a short while ago: whoever has a choice asks another server first. */
  get isResting(): boolean {
    return performance.now() < this.#restsUntil;
  }

  /** How it wants to know who asks; `undefined`: it has not asked. */
  get scheme(): "basic" | "bearer" | undefined {
    return this.#authorizer.scheme;
  }

  /** Whether an address is one of this server's. */
  owns(url: URL): boolean {
    return url.origin === this.#api.origin;
  }

  /**
   * Sends a request until it is answered for good; whatever the status, the answer is the result.
   *
   * @param isLast there is no other server to ask, so that waiting and repeating is worth it (T3)
   */
  async send(request: HostRequest, isLast: boolean): Promise<Reply> {
    try {
      if (!isLast || !mayRepeat(request)) return await this.#authenticated(request);
      return await withRetries(this.#settings, { host: this.name, signal: request.signal }, () =>
        this.#authenticated(request),
      );
    } catch (error) {
      if (isUnreachable(error)) this.#restsUntil = performance.now() + restMs;
      throw error;
    }
  }

  /** The error for an answer with an unwanted status; reads its body. */
  async failure(reply: Reply, request: HostRequest): Promise<CodedError> {
    const failure = await failureOf(reply, this.#authorizer.secrets());
    return this.#authorizer.explain(failure, reply, request.repository);
  }

  async #authenticated(request: HostRequest): Promise<Reply> {
    const { signal } = request;
    const access = accessFor(request);
    for (let round = 1; ; round += 1) {
      const used = this.#mayAuthorize(request) ? await this.#authorizer.header(access, this.#api, signal) : undefined;
      const reply = await this.#sendOnce(request, used);
      if (reply.status !== 401 || round === maxRounds) return reply;
      // Its challenge must never reach the authorizer: what that gets by it is got with the registry's credentials.
      if (reply.foreign) return this.#asStranger(reply, request);
      const again = await this.#mayAskAgain(reply, access, { used, fresh: round > 1, signal });
      if (!again) return reply;
      await reply.discard();
    }
  }

  /** Another host refused what the registry led there: downloads may be asked for as anybody may (D4). */
  async #asStranger(reply: Reply, request: HostRequest): Promise<Reply> {
    if (request.method !== "GET" && request.method !== "HEAD") return reply;
    return loginAnonymously(this.#transport, this.#settings, reply, this.#exchange(request, undefined));
  }

  /** Whether there is another way to say who we are than the one that was refused. */
  async #mayAskAgain(reply: Reply, access: Access, refusal: Omit<Refusal, "registry">): Promise<boolean> {
    try {
      const challenges = await this.#challengesOf(reply, access, refusal.signal);
      return await this.#authorizer.refused(challenges, access, { ...refusal, registry: this.#api });
    } catch (error) {
      await reply.discard();
      throw error;
    }
  }

  /** Some registries refuse without saying what they want; then their root says it (A4). */
  async #challengesOf(reply: Reply, access: Access, signal: AbortSignal | undefined): Promise<Challenge[]> {
    const challenges = parseChallenges(reply.headers("www-authenticate"));
    if (challenges.length > 0) return challenges;
    const { repository } = access;
    const root = await this.#sendOnce(
      { method: "GET", target: this.#api, repository, purpose: "pull", signal },
      undefined,
    );
    await root.discard();
    return root.status === 401 && !root.foreign ? parseChallenges(root.headers("www-authenticate")) : [];
  }

  /** Uploads may be directed to another host, which must not see our credentials (P3). */
  #mayAuthorize(request: HostRequest): boolean {
    return typeof request.target === "string" || this.owns(request.target);
  }

  async #sendOnce(request: HostRequest, authorization: string | undefined): Promise<Reply> {
    const api = this.#api;
    try {
      const reply = await this.#transport.exchange(this.#exchange(request, authorization));
      if (api.protocol === "https:") this.#mayFallBack = false;
      return reply;
    } catch (error) {
      // Requests that began together find out one by one; each asks again by http.
      if (api.protocol === "http:" || !this.#mayFallBack || !speaksNoTls(error, api)) throw error;
      this.#api = withProtocol(api, "http:");
      return this.#transport.exchange(this.#exchange(request, authorization));
    }
  }

  #exchange(request: HostRequest, authorization: string | undefined): Exchange {
    const api = this.#api;
    const url = addressOf(request, api);
    const ours = this.owns(url);
    const headers: Record<string, string> = {
      ...(ours && this.#commonHeaders(request)),
      ...(ours && this.#address.headers),
      "user-agent": this.#settings.userAgent,
      "accept-encoding": "identity",
      ...request.headers,
      ...(authorization !== undefined && ours && { authorization }),
    };
    return {
      method: request.method,
      url,
      headers,
      body: request.body,
      signal: request.signal,
      foreign: !ours,
      allow: (hop) => this.#allow(hop, api),
    };
  }

  /** Headers for all registries are no reason to show a mirror who we are at the registry (T4). */
  #commonHeaders({ namespace }: HostRequest): Readonly<Record<string, string>> {
    const { headers } = this.#settings;
    if (namespace === undefined) return headers;
    return Object.fromEntries(Object.entries(headers).filter(([name]) => !loginHeaders.has(name)));
  }

  /** From https, a redirect may lead to http only where that was asked for. */
  #allow(hop: URL, api: URL): void {
    if (hop.protocol === "https:" || api.protocol === "http:" || this.#settings.plainHttp(hop.host)) return;
    const text = `registry ${this.name}: redirected from https to ${describeUrl(hop)}`;
    throw new CodedError("ERR_PERMISSION_DENIED", text);
  }
}

function withProtocol(url: URL, protocol: "http:"): URL {
  const changed = new URL(url);
  changed.protocol = protocol;
  return changed;
}

function isUnreachable(error: unknown): boolean {
  if (hasCode(error, "ERR_DEADLINE_EXCEEDED")) return true;
  return hasCode(error, "ERR_NETWORK") && !brokenOff.test(errorCode(error.cause) ?? "");
}
