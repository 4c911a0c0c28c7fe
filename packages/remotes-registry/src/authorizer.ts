import { CodedError } from "@varve/errors";
import { createSingleFlight } from "@varve/locks";
import type { SingleFlight } from "@varve/locks";
import type { Challenge } from "./challenge.ts";
import type { Credentials, Settings } from "./options.ts";
import { checkRealm } from "./realm.ts";
import { mergeScopes, splitScopes } from "./scopes.ts";
import type { Scope } from "./scopes.ts";
import { basicHeader, fetchToken, secretsIn } from "./token.ts";
import type { Token } from "./token.ts";
import type { Transport } from "./transport.ts";

/** What a request needs permission for. */
export interface Access {
  readonly repository: string;
  readonly scopes: readonly Scope[];
}

type Scheme =
  | { readonly type: "basic" }
  | { readonly type: "bearer"; readonly realm: URL; readonly service: string | undefined };

/** Keeps what is known of one host's ways to authenticate, and its tokens. */
export class Authorizer {
  readonly #host: string;
  readonly #settings: Settings;
  readonly #transport: Transport;
  readonly #credentials = new Map<string, Promise<Credentials | undefined>>();
  readonly #tokens = new Map<string, Token>();
  readonly #flights: SingleFlight<string, Token> = createSingleFlight();
  /** What the host demanded beyond the scopes that we thought right. */
  readonly #demanded = new Map<string, readonly Scope[]>();
  readonly #secrets = new Set<string>();
  #scheme: Scheme | undefined;

  /** @param host as in references; credentials are looked up by it */
  constructor(host: string, settings: Settings, transport: Transport) {
    this.#host = host;
    this.#settings = settings;
    this.#transport = transport;
  }

  /** The `Authorization` to send, as far as is known; `undefined`: ask without. */
  async header(access: Access, registry: URL, signal: AbortSignal | undefined): Promise<string | undefined> {
    const credentials = await this.#credentialsFor(access.repository);
    if (credentials !== undefined && "registryToken" in credentials) return `Bearer ${credentials.registryToken}`;
    if (this.#scheme === undefined) return undefined;
    if (this.#scheme.type === "basic") return this.#basic(credentials);
    const token = await this.#token(this.#scheme, access, registry, signal);
    return `Bearer ${token.value}`;
  }

  /**
   * Takes in a 401, and says whether asking again may help.
   *
   * @param used the header that was refused
   * @param fresh it was made for this very request, so that it cannot have expired
   * @throws ERR_UNAUTHENTICATED the host wants user and password, and there are none
   */
  async refused(
    challenges: readonly Challenge[],
    access: Access,
    registry: URL,
    used: string | undefined,
    fresh: boolean,
  ): Promise<boolean> {
    const credentials = await this.#credentialsFor(access.repository);
    if (credentials !== undefined && "registryToken" in credentials) return false;
    const bearer = challenges.find((challenge) => challenge.scheme === "bearer");
    if (bearer !== undefined) return this.#refusedBearer(bearer, access, registry, used, fresh);
    if (!challenges.some((challenge) => challenge.scheme === "basic")) return false;
    this.#scheme = { type: "basic" };
    // Throws when there is nothing to log in with; sends nothing twice.
    return this.#basic(credentials) !== used;
  }

  /** How the host is asked, for error messages. */
  async describe(repository: string): Promise<string> {
    const credentials = await this.#credentialsFor(repository);
    return credentials === undefined ? "asked without credentials" : `asked with the credentials for ${this.#host}`;
  }

  /** What must not appear in messages, even if a server repeats it. */
  secrets(): readonly string[] {
    return [...this.#secrets, ...Array.from(this.#tokens.values(), (token) => token.value)];
  }

  #refusedBearer(
    challenge: Challenge,
    access: Access,
    registry: URL,
    used: string | undefined,
    fresh: boolean,
  ): boolean {
    const realm = URL.parse(challenge.parameters.get("realm") ?? "", registry.href);
    if (realm === null || !challenge.parameters.has("realm")) {
      throw new CodedError("ERR_INVALID_DATA", `registry ${this.#host}: bearer challenge without a realm`);
    }
    checkRealm(realm, registry);
    const before = this.#wanted(access).join(" ");
    const previous = this.#scheme;
    this.#scheme = { type: "bearer", realm, service: challenge.parameters.get("service") };
    this.#demanded.set(keyOf(access), mergeScopes(splitScopes(challenge.parameters.get("scope")), access.scopes));
    if (used === undefined || previous?.type !== "bearer") return true;
    this.#forget(used);
    return !fresh || this.#wanted(access).join(" ") !== before;
  }

  #basic(credentials: Credentials | undefined): string {
    if (credentials !== undefined && "username" in credentials) return basicHeader(credentials);
    throw new CodedError(
      "ERR_UNAUTHENTICATED",
      `registry ${this.#host}: not logged in: it wants a user and a password`,
    );
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
    if (known !== undefined && known.expiresAt > Date.now()) return known;
    const allow = (url: URL): void => checkRealm(url, registry);
    return this.#flights.run(
      key,
      async (shared) => {
        const credentials = await this.#credentialsFor(access.repository);
        const request = { realm, service, scopes, credentials, allow, signal: shared };
        const token = await fetchToken(this.#transport, this.#settings, request);
        this.#keep(key, token);
        if (token.identityToken !== undefined && credentials !== undefined && "identityToken" in credentials) {
          this.#credentials.set(access.repository, Promise.resolve({ identityToken: token.identityToken }));
        }
        return token;
      },
      { signal },
    );
  }

  #wanted(access: Access): readonly Scope[] {
    return this.#demanded.get(keyOf(access)) ?? access.scopes;
  }

  #keep(key: string, token: Token): void {
    const now = Date.now();
    for (const [old, { expiresAt }] of this.#tokens) if (expiresAt <= now) this.#tokens.delete(old);
    this.#tokens.set(key, token);
  }

  /** Only the token that was refused: somebody else may have got a new one meanwhile. */
  #forget(header: string): void {
    for (const [key, token] of this.#tokens) if (header === `Bearer ${token.value}`) this.#tokens.delete(key);
  }

  #noteSecrets(credentials: Credentials | undefined): void {
    if (credentials === undefined) return;
    for (const secret of secretsIn(credentials)) this.#secrets.add(secret);
  }

  #credentialsFor(repository: string): Promise<Credentials | undefined> {
    const known = this.#credentials.get(repository);
    if (known !== undefined) return known;
    const asked = this.#settings.credentials(this.#host, repository);
    this.#credentials.set(repository, asked);
    asked.then(
      (found) => this.#noteSecrets(found),
      () => this.#credentials.delete(repository),
    );
    return asked;
  }
}

function keyOf(access: Access): string {
  return access.scopes.join(" ");
}
