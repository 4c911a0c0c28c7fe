import type { Credentials } from "@varve/credentials";
import { CodedError, hasCode } from "@varve/errors";
import { untilAborted } from "@varve/locks";
import type { Transport } from "../http/transport.ts";
import type { Settings } from "../options.ts";
import { describeCredentials } from "./credential-secrets.ts";
import { IdentityTokens } from "./identity-tokens.ts";
import type { KnownCredentials } from "./known-credentials.ts";
import { fetchToken } from "./token.ts";
import type { Token } from "./token.ts";
import type { TokenRequest } from "./token-request.ts";

/** What a token is to be good for, and where it is had. */
export type TokenWish = Pick<TokenRequest, "realm" | "service" | "scopes" | "allow"> & {
  /** Whose credentials to use. */
  readonly repository: string;
};

/** Gets tokens for one host with the credentials that are known for it. */
export class TokenSource {
  readonly #host: string;
  readonly #settings: Settings;
  readonly #transport: Transport;
  readonly #credentials: KnownCredentials;
  readonly #identities = new IdentityTokens();

  constructor(host: string, settings: Settings, transport: Transport, credentials: KnownCredentials) {
    this.#host = host;
    this.#settings = settings;
    this.#transport = transport;
    this.#credentials = credentials;
  }

  /** Asks with what there is; if that is refused and there is something else by now, once more. */
  async fetch(wish: TokenWish, signal: AbortSignal): Promise<Token> {
    const credentials = await untilAborted(this.#credentials.for(wish.repository), signal);
    try {
      return await this.#fetchWith(credentials, wish, signal);
    } catch (error) {
      if (credentials === undefined || !hasCode(error, "ERR_UNAUTHENTICATED")) throw error;
      const others = await untilAborted(this.#credentials.insteadOf(credentials, wish.repository), signal);
      if (others === undefined) throw error;
      return this.#fetchWith(others, wish, signal);
    }
  }

  async #fetchWith(credentials: Credentials | undefined, wish: TokenWish, signal: AbortSignal): Promise<Token> {
    const { userAgent, onIdentityToken } = this.#settings;
    const { realm, service, scopes, allow } = wish;
    const offline = onIdentityToken !== undefined && credentials !== undefined;
    const request = { realm, service, scopes, allow, signal, userAgent, offline };
    const ask = (own: Credentials | undefined): Promise<Token> =>
      fetchToken(this.#transport, this.#settings, { ...request, credentials: own });
    try {
      if (credentials === undefined) return await ask(undefined);
      const token =
        "identityToken" in credentials
          ? await this.#identities.use(credentials.identityToken, (newest) => ask({ identityToken: newest }), signal)
          : await ask(credentials);
      this.#tell(token, credentials);
      return token;
    } catch (error) {
      throw this.#explained(error, credentials);
    }
  }

  #tell({ identityToken }: Token, used: Credentials): void {
    if (identityToken === undefined) return;
    this.#credentials.noteSecrets({ identityToken });
    const isNew = !("identityToken" in used) || used.identityToken !== identityToken;
    if (isNew) this.#settings.onIdentityToken?.(this.#host, identityToken);
  }

  #explained(error: unknown, credentials: Credentials | undefined): unknown {
    const isDenied = hasCode(error, "ERR_UNAUTHENTICATED") || hasCode(error, "ERR_PERMISSION_DENIED");
    if (!isDenied || !(error instanceof CodedError)) return error;
    return new CodedError(error.code, `${error.message} (${describeCredentials(credentials, this.#host)})`);
  }
}
