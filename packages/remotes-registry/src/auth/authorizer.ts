import type { Credentials } from "@varve/credentials";
import { CodedError, isTransient } from "@varve/errors";
import { createSingleFlight, untilAborted } from "@varve/locks";
import type { SingleFlight } from "@varve/locks";
import { RecentMap } from "../hosts/recent-map.ts";
import type { Reply } from "../http/reply.ts";
import type { Transport } from "../http/transport.ts";
import type { Settings } from "../options.ts";
import type { Challenge } from "./challenge.ts";
import { basicHeader, describeCredentials } from "./credential-secrets.ts";
import { KnownCredentials } from "./known-credentials.ts";
import { checkRealm } from "./realm.ts";
import { mergeScopes, splitScopes } from "./scopes.ts";
import type { Scope } from "./scopes.ts";
import { TokenCache } from "./token-cache.ts";
import { TokenSource } from "./token-source.ts";
import type { Token } from "./token.ts";

/** What a request needs permission for. */
export interface Access {
  readonly repository: string;
  readonly scopes: readonly Scope[];
}

/** A request that was answered with 401. */
export interface Refusal {
  /** The root of the API that was asked. */
  readonly registry: URL;
  /** The header that was refused. */
  readonly used: string | undefined;
  /** It was made for this very request: only the host's word makes another one worth trying. */
  readonly fresh: boolean;
  readonly signal: AbortSignal | undefined;
}

type Scheme =
  | { readonly type: "basic" }
  | { readonly type: "bearer"; readonly realm: URL; readonly service: string | undefined };

const maxDemands = 256;
const maxScopes = 32;

/** Keeps what is known of one host's ways to authenticate, and its tokens. */
export class Authorizer {
  readonly #host: string;
  readonly #credentials: KnownCredentials;
  readonly #source: TokenSource;
  readonly #tokens = new TokenCache();
  readonly #flights: SingleFlight<string, Token> = createSingleFlight();
  /** What the host demanded beyond the scopes that we thought right. */
  readonly #demanded = new RecentMap<string, readonly Scope[]>(maxDemands);
  #scheme: Scheme | undefined;

  /** @param host as in references; credentials are looked up by it */
  constructor(host: string, settings: Settings, transport: Transport) {
    this.#host = host;
    this.#credentials = new KnownCredentials(host, settings.credentials);
    this.#source = new TokenSource(host, settings, transport, this.#credentials);
  }

  /** How the host wants to know who asks; `undefined` as long as it has not asked. */
  get scheme(): Scheme["type"] | undefined {
    return this.#scheme?.type;
  }

  /** The `Authorization` to send, as far as is known; `undefined`: ask without. */
  async header(access: Access, registry: URL, signal: AbortSignal | undefined): Promise<string | undefined> {
    const credentials = await untilAborted(this.#credentials.for(access.repository), signal);
    if (credentials !== undefined && "registryToken" in credentials) return `Bearer ${credentials.registryToken}`;
    if (this.#scheme === undefined) return undefined;
    if (this.#scheme.type === "basic") return this.#basic(credentials);
    const token = await this.#token(this.#scheme, access, registry, signal);
    return `Bearer ${token.value}`;
  }

  /**
   * Takes in a 401, and says whether asking again may help.
   *
   * @throws ERR_UNAUTHENTICATED the host wants user and password, and there are none
   * @throws ERR_NOT_IMPLEMENTED it wants what we do not know
   */
  async refused(challenges: readonly Challenge[], access: Access, refusal: Refusal): Promise<boolean> {
    const { registry, used, signal } = refusal;
    const credentials = await untilAborted(this.#credentials.for(access.repository), signal);
    if (credentials !== undefined && "registryToken" in credentials) {
      return this.#mayReplace(credentials, access, refusal);
    }
    const bearers = challenges.filter(({ scheme }) => scheme === "bearer");
    const bearer = bearers.find((challenge) => realmOf(challenge, registry) !== null);
    if (bearer !== undefined) return this.#refusedBearer(bearer, access, refusal);
    if (challenges.some(({ scheme }) => scheme === "basic")) {
      this.#scheme = { type: "basic" };
      // Throws when there is nothing to log in with; sends nothing twice.
      return this.#basic(credentials) !== used || this.#mayReplace(credentials, access, refusal);
    }
    if (bearers.length > 0) throw this.#withoutRealm();
    if (challenges.length === 0) return false;
    const names = challenges.slice(0, 4).map(({ scheme }) => scheme.slice(0, 32));
    throw new CodedError("ERR_NOT_IMPLEMENTED", `registry ${this.#host}: wants a login by ${names.join(", ")}`);
  }

  /** Says with a refusal how the host was asked, since what is private looks as if it were not there (A13). */
  async explain(failure: CodedError, reply: Reply, repository: string): Promise<CodedError> {
    const { status, foreign } = reply;
    const asked = status === 401 || status === 403 || (status === 404 && this.#scheme !== undefined);
    if (foreign || !asked) return failure;
    const credentials = await this.#credentials.for(repository).catch(() => undefined);
    const how = describeCredentials(credentials, this.#host);
    const why = status === 401 ? how : `not found or no access, ${how}`;
    return new CodedError(failure.code, `${failure.message} (${why})`);
  }

  /** What must not appear in messages, even if a server repeats it. */
  secrets(): readonly string[] {
    return [...this.#credentials.secrets(), ...this.#tokens.values()];
  }

  #refusedBearer(challenge: Challenge, access: Access, { registry, used, fresh }: Refusal): boolean {
    const { parameters } = challenge;
    const realm = realmOf(challenge, registry);
    if (realm === null) throw this.#withoutRealm();
    checkRealm(realm, registry);
    const before = this.#wanted(access);
    const previous = this.#scheme;
    this.#scheme = { type: "bearer", realm, service: parameters.get("service") };
    const demanded = mergeScopes(splitScopes(parameters.get("scope")), access.scopes);
    const wanted = mergeScopes(demanded, before).slice(0, maxScopes);
    this.#demanded.set(keyOf(access), wanted);
    if (used === undefined || previous?.type !== "bearer") return true;
    this.#tokens.forget(used);
    const isOver = parameters.get("error") === "invalid_token";
    return !fresh || isOver || wanted.join(" ") !== before.join(" ");
  }

  /** Whether there are other credentials by now than those that were refused. */
  async #mayReplace(refused: Credentials | undefined, access: Access, { fresh, signal }: Refusal): Promise<boolean> {
    if (fresh) return false;
    return (await untilAborted(this.#credentials.insteadOf(refused, access.repository), signal)) !== undefined;
  }

  #basic(credentials: Credentials | undefined): string {
    if (credentials !== undefined && "username" in credentials) return basicHeader(credentials);
    const what = credentials === undefined ? "" : `; ${describeCredentials(credentials, this.#host)}: a token`;
    const text = `registry ${this.#host}: not logged in: it wants a user and a password${what}`;
    throw new CodedError("ERR_UNAUTHENTICATED", text);
  }

  async #token(
    scheme: Scheme & { type: "bearer" },
    access: Access,
    registry: URL,
    signal: AbortSignal | undefined,
  ): Promise<Token> {
    const { realm, service } = scheme;
    const scopes = this.#wanted(access);
    const key = [realm.href, service ?? "", ...scopes.toSorted()].join("\n");
    const known = this.#tokens.get(key);
    if (known !== undefined && known.refreshAt > Date.now()) return known;
    const { repository } = access;
    const wish = { realm, service, scopes, repository, allow: (url: URL): void => checkRealm(url, registry) };
    const fetch = async (shared: AbortSignal): Promise<Token> => {
      const token = await this.#source.fetch(wish, shared);
      this.#tokens.keep(key, token);
      return token;
    };
    try {
      return await this.#flights.run(key, fetch, { signal });
    } catch (error) {
      // It was to be refreshed a little early, and is good for a while yet.
      if (known !== undefined && known.expiresAt > Date.now() && isTransient(error)) return known;
      throw error;
    }
  }

  #withoutRealm(): CodedError {
    return new CodedError("ERR_INVALID_DATA", `registry ${this.#host}: bearer challenge without a realm`);
  }

  #wanted(access: Access): readonly Scope[] {
    return this.#demanded.get(keyOf(access)) ?? access.scopes;
  }
}

function realmOf({ parameters }: Challenge, registry: URL): URL | null {
  const realm = parameters.get("realm");
  return realm === undefined ? null : URL.parse(realm, registry.href);
}

function keyOf(access: Access): string {
  return access.scopes.join(" ");
}
