import type { Credentials } from "@varve/credentials";
import { CodedError } from "@varve/errors";
import { describeUrl } from "../http/printable.ts";
import type { Exchange } from "../http/transport.ts";
import { basicHeader } from "./credential-secrets.ts";
import type { Scope } from "./scopes.ts";

/** What to ask a token server for. */
export interface TokenRequest {
  readonly realm: URL;
  readonly service: string | undefined;
  readonly scopes: readonly Scope[];
  readonly credentials: Credentials | undefined;
  /** Ask for an identity token as well. */
  readonly offline: boolean;
  readonly userAgent: string;
  /** Judges every address that is asked. */
  readonly allow: (url: URL) => void;
  readonly signal: AbortSignal | undefined;
}

const clientId = "varve";

/** The older form: everything in the address, user and password as Basic. */
export function byGet(request: TokenRequest): Exchange {
  const { realm, service, scopes, credentials, allow, signal, offline } = request;
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  if (offline) {
    url.searchParams.set("offline_token", "true");
    url.searchParams.set("client_id", clientId);
  }
  const headers: Record<string, string> = commonHeaders(request);
  if (credentials !== undefined && "username" in credentials) headers["authorization"] = basicHeader(credentials);
  return { method: "GET", url, headers, allow, signal };
}

/** The form of OAuth2. */
export function byPost(request: TokenRequest): Exchange {
  const { realm, service, scopes, credentials, allow, signal, offline } = request;
  const form = new URLSearchParams({ client_id: clientId, scope: scopes.join(" ") });
  if (service !== undefined) form.set("service", service);
  if (offline) form.set("access_type", "offline");
  if (credentials !== undefined && "identityToken" in credentials) {
    form.set("grant_type", "refresh_token");
    form.set("refresh_token", credentials.identityToken);
  } else if (credentials !== undefined && "username" in credentials) {
    form.set("grant_type", "password");
    form.set("username", credentials.username);
    form.set("password", credentials.password);
  }
  return {
    method: "POST",
    url: realm,
    headers: { ...commonHeaders(request), "content-type": "application/x-www-form-urlencoded" },
    body: new TextEncoder().encode(form.toString()),
    // A redirect of a POST would carry the secrets in its body on.
    allow: (url) => {
      if (url.href !== realm.href) throw new CodedError("ERR_INVALID_DATA", `POST ${describeUrl(realm)}: redirected`);
      allow(url);
    },
    signal,
  };
}

function commonHeaders({ userAgent }: TokenRequest): Record<string, string> {
  return { accept: "application/json", "accept-encoding": "identity", "user-agent": userAgent };
}
