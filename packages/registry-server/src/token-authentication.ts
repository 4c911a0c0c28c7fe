import type { AccessRequest, Authenticate } from "./authenticate.ts";
import { quoted } from "./basic-authentication.ts";

/**
 * What a token is good for: `allow`; `deny`, and no other token of this user would do; `insufficient`, a token for more
 * could be had; `invalid`, it is malformed, forged, or has expired.
 */
export type TokenVerdict = "allow" | "deny" | "insufficient" | "invalid";

export interface TokenAuthenticationOptions {
  /** Where clients get tokens: the URL of the token server. */
  readonly realm: string;
  /** Who the tokens are for, as the token server knows this registry. */
  readonly service: string;
  /** Judges a token. Whoever compares secrets here should do so in constant time. */
  readonly verify: (token: string, request: AccessRequest) => TokenVerdict | Promise<TokenVerdict>;
}

const maxToken = 65_536;

/** Asks clients for a bearer token from a token server, as Docker's registry does; issuing tokens is not done here. */
export function tokenAuthentication(options: TokenAuthenticationOptions): Authenticate {
  const { realm, service, verify } = options;
  return async (request) => {
    const token = tokenIn(request.authorization);
    const verdict = token === undefined ? undefined : await verify(token, request);
    if (verdict === "allow" || verdict === "deny") return verdict;
    const scope = scopeOf(request);
    const parts = [
      `realm=${quoted(realm)}`,
      `service=${quoted(service)}`,
      ...(scope === undefined ? [] : [`scope=${quoted(scope)}`]),
      ...(verdict === undefined ? [] : [`error="${verdict === "invalid" ? "invalid_token" : "insufficient_scope"}"`]),
    ];
    return { challenge: `Bearer ${parts.join(",")}` };
  };
}

function tokenIn(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length > maxToken) return undefined;
  return /^bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(authorization)?.[1];
}

/** The scope that a client is to ask for. Who pushes has to look first at what is there. */
function scopeOf({ repository, action }: AccessRequest): string | undefined {
  if (action === "catalog") return "registry:catalog:*";
  if (repository === undefined) return undefined;
  return `repository:${repository}:${action === "push" ? "pull,push" : action}`;
}
