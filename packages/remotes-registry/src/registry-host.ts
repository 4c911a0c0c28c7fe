import { createLimiter } from "@varve/locks";
import type { Limiter } from "@varve/locks";
import { Authorizer } from "./authorizer.ts";
import type { Access } from "./authorizer.ts";
import { parseChallenges } from "./challenge.ts";
import type { Challenge } from "./challenge.ts";
import { CodedError } from "@varve/errors";
import { failureOf } from "./failure.ts";
import { errorCode } from "./network-failure.ts";
import { loginAnonymously } from "./foreign-login.ts";
import type { Settings } from "./options.ts";
import { describeUrl } from "./printable.ts";
import { isLoopback } from "./realm.ts";
import type { Reply } from "./reply.ts";
import { withRetries } from "./retry.ts";
import type { Exchange, Method, Transport } from "./transport.ts";

export interface RegistryRequest {
  readonly method: Method;
  /** Below the registry's root, with a leading slash; or the address of an upload. */
  readonly target: string | URL;
  readonly access: Access;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Exchange["body"];
  readonly signal?: AbortSignal | undefined;
  /** Whether it may be sent again after a failure. Default: true. */
  readonly repeatable?: boolean | undefined;
}

const maxRounds = 3;

/** One registry: speaks to it with authentication and repetitions, in the right protocol. */
export class RegistryHost {
  readonly #host: string;
  readonly #address: string;
  readonly #settings: Settings;
  readonly #transport: Transport;
  readonly #authorizer: Authorizer;
  /** Held by whoever moves a blob. */
  readonly transfers: Limiter;
  #protocol: "https:" | "http:";
  /** Whether https may still turn out to be http (N4). */
  #mayFallBack: boolean;

  /**
   * @param host as in references
   * @param address where its registry answers: host and port
   */
  constructor(host: string, address: string, settings: Settings, transport: Transport) {
    this.#host = host;
    this.#address = address;
    this.#settings = settings;
    this.#transport = transport;
    this.#authorizer = new Authorizer(host, settings, transport);
    this.transfers = createLimiter(settings.maxConcurrentPerHost);
    const plain = settings.plainHttp(host);
    this.#protocol = plain ? "http:" : "https:";
    this.#mayFallBack = !plain && isLoopback(new URL(`http://${address}`).hostname);
  }

  /** Sends a request until it is answered for good; whatever the status, the answer is the result. */
  async send(request: RegistryRequest): Promise<Reply> {
    if (request.repeatable === false) return this.#authenticated(request);
    return withRetries(this.#settings, request.signal, () => this.#authenticated(request));
  }

  /** The error for an answer with an unwanted status; reads its body. */
  async failure(reply: Reply, request: RegistryRequest): Promise<CodedError> {
    const error = await failureOf(reply, this.#authorizer.secrets());
    if (reply.status !== 401 && reply.status !== 403) return error;
    const how = await this.#authorizer.describe(request.access.repository);
    return new CodedError(error.code, `${error.message} (${how})`);
  }

  async #authenticated(request: RegistryRequest): Promise<Reply> {
    const { access, signal } = request;
    for (let round = 1; ; round += 1) {
      const used = this.#mayAuthorize(request)
        ? await this.#authorizer.header(access, this.#root(), signal)
        : undefined;
      const reply = await this.#sendOnce(request, used);
      if (reply.status === 401 && reply.foreign && request.body === undefined) {
        return loginAnonymously(this.#transport, this.#settings, reply, this.#exchange(request, undefined));
      }
      if (reply.status !== 401 || round === maxRounds || !this.#mayAuthorize(request)) return reply;
      const challenges = await this.#challengesOf(reply, access, signal);
      const again = await this.#authorizer.refused(challenges, access, this.#root(), used, round > 1);
      if (!again) return reply;
      await reply.discard();
    }
  }

  /** Some registries refuse without saying what they want; then their root says it (A4). */
  async #challengesOf(reply: Reply, access: Access, signal: AbortSignal | undefined): Promise<Challenge[]> {
    const challenges = parseChallenges(reply.headers("www-authenticate"));
    if (challenges.length > 0) return challenges;
    const root = await this.#sendOnce({ method: "GET", target: "/v2/", access, signal }, undefined);
    await root.discard();
    return root.status === 401 && !root.foreign ? parseChallenges(root.headers("www-authenticate")) : [];
  }

  /** Uploads may be directed to another host, which must not see our credentials (P3). */
  #mayAuthorize(request: RegistryRequest): boolean {
    return typeof request.target === "string" || request.target.origin === this.#root().origin;
  }

  async #sendOnce(request: RegistryRequest, authorization: string | undefined): Promise<Reply> {
    const root = this.#root();
    try {
      const reply = await this.#transport.exchange(this.#exchange(request, authorization));
      if (root.protocol === "https:") this.#mayFallBack = false;
      return reply;
    } catch (error) {
      // Requests that began together find out one by one; each asks again by http.
      if (root.protocol === "http:" || !this.#mayFallBack || !speaksNoTls(error, root)) throw error;
      this.#protocol = "http:";
      return this.#transport.exchange(this.#exchange(request, authorization));
    }
  }

  #exchange(request: RegistryRequest, authorization: string | undefined): Exchange {
    const root = this.#root();
    const url = new URL(request.target, root);
    const ours = url.origin === root.origin;
    const headers: Record<string, string> = {
      ...(ours && this.#settings.headers),
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
      allow: (hop) => this.#allow(hop, root),
    };
  }

  /** From https, a redirect may lead to http only where that was asked for. */
  #allow(hop: URL, root: URL): void {
    if (hop.protocol === "https:" || root.protocol === "http:" || this.#settings.plainHttp(hop.host)) return;
    const text = `registry ${this.#host}: redirected from https to ${describeUrl(hop)}`;
    throw new CodedError("ERR_PERMISSION_DENIED", text);
  }

  #root(): URL {
    return new URL(`${this.#protocol}//${this.#address}`);
  }
}

/** Whether a TLS handshake failed because the other side does not speak TLS, or nobody listens on port 443. */
function speaksNoTls(error: unknown, root: URL): boolean {
  if (!(error instanceof CodedError) || error.code !== "ERR_NETWORK") return false;
  const { cause } = error;
  const code = errorCode(cause) ?? "";
  if (/^(?:ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG|ERR_SSL_HTTP_REQUEST|EPROTO)$/.test(code)) {
    return true;
  }
  if (code === "ECONNREFUSED") return root.port === "";
  if (code === "ECONNRESET") return cause instanceof Error && cause.message.includes("before secure TLS");
  return false;
}
