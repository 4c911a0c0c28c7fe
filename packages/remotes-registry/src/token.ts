import { CodedError } from "@varve/errors";
import { readAtMost } from "./body.ts";
import { failureOf } from "./failure.ts";
import type { Credentials, Settings } from "./options.ts";
import { describeUrl } from "./printable.ts";
import type { Reply } from "./reply.ts";
import { withRetries } from "./retry.ts";
import type { Scope } from "./scopes.ts";
import type { Exchange, Transport } from "./transport.ts";

/** What to ask a token server for. */
export interface TokenRequest {
  readonly realm: URL;
  readonly service: string | undefined;
  readonly scopes: readonly Scope[];
  readonly credentials: Credentials | undefined;
  readonly allow: (url: URL) => void;
  readonly signal: AbortSignal | undefined;
}

export interface Token {
  readonly value: string;
  /** In milliseconds of `Date.now()`; some time before the server's own limit. */
  readonly expiresAt: number;
  /** Takes the place of the identity token that was sent. */
  readonly identityToken: string | undefined;
}

const maxTokenBody = 1024 * 1024;
const minLifetime = 60;
// Answers by which servers say that they do not know the form of the request (GCR, ACR, Artifactory and others).
const otherForm: ReadonlySet<number> = new Set([400, 404, 405]);

/**
 * Gets an access token. User and password go by GET with Basic, and by an OAuth2 POST where a server knows only that;
 * identity tokens always by POST.
 *
 * @throws ERR_UNAUTHENTICATED the server does not accept the credentials
 */
export async function fetchToken(transport: Transport, settings: Settings, request: TokenRequest): Promise<Token> {
  const { credentials, signal } = request;
  const ask = (exchange: Exchange): Promise<Reply> => withRetries(settings, signal, () => transport.exchange(exchange));
  const identity = credentials !== undefined && "identityToken" in credentials;
  let reply = await ask(identity ? byPost(settings, request) : byGet(settings, request));
  if (!identity && credentials !== undefined && otherForm.has(reply.status)) {
    await reply.discard();
    reply = await ask(byPost(settings, request));
  }
  if (reply.status !== 200) {
    throw await failureOf(reply, credentials === undefined ? [] : secretsIn(credentials));
  }
  return readToken(reply);
}

function byGet(settings: Settings, request: TokenRequest): Exchange {
  const { realm, service, scopes, credentials, allow, signal } = request;
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  const headers: Record<string, string> = commonHeaders(settings);
  if (credentials !== undefined && "username" in credentials) headers["authorization"] = basicHeader(credentials);
  return { method: "GET", url, headers, allow, signal };
}

function byPost(settings: Settings, request: TokenRequest): Exchange {
  const { realm, service, scopes, credentials, allow, signal } = request;
  const form = new URLSearchParams({ client_id: "varve", scope: scopes.join(" ") });
  if (service !== undefined) form.set("service", service);
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
    headers: { ...commonHeaders(settings), "content-type": "application/x-www-form-urlencoded" },
    body: new TextEncoder().encode(form.toString()),
    // A redirect of a POST would carry the secrets in its body on.
    allow: (url) => {
      if (url.href !== realm.href) throw new CodedError("ERR_INVALID_DATA", `POST ${describeUrl(realm)}: redirected`);
      allow(url);
    },
    signal,
  };
}

function commonHeaders(settings: Settings): Record<string, string> {
  return { accept: "application/json", "accept-encoding": "identity", "user-agent": settings.userAgent };
}

export function basicHeader(credentials: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`, "utf8").toString("base64")}`;
}

/** The texts by which these credentials could be found out. */
export function secretsIn(credentials: Credentials): string[] {
  if ("identityToken" in credentials) return [credentials.identityToken];
  if ("registryToken" in credentials) return [credentials.registryToken];
  return [credentials.password, basicHeader(credentials).slice("Basic ".length)];
}

interface TokenBody {
  readonly token?: unknown;
  readonly access_token?: unknown;
  readonly expires_in?: unknown;
  readonly refresh_token?: unknown;
}

async function readToken(reply: Reply): Promise<Token> {
  const subject = `${reply.method} ${describeUrl(reply.url)}`;
  const text = (await readAtMost(reply, maxTokenBody)).toString("utf8");
  const body = parseObject(text);
  const value = body?.token ?? body?.access_token;
  // Anything else could not be sent in a header.
  if (typeof value !== "string" || !/^[\u0021-\u007e]+$/.test(value)) {
    throw new CodedError("ERR_INVALID_DATA", `${subject}: the answer has no token`);
  }
  const told = body?.expires_in;
  const lifetime = typeof told === "number" && told > minLifetime ? told : minLifetime;
  const refresh = body?.refresh_token;
  return {
    value,
    // Asked anew a little early: a token must outlive the way to the registry.
    expiresAt: Date.now() + lifetime * 900,
    identityToken: typeof refresh === "string" && refresh !== "" ? refresh : undefined,
  };
}

function parseObject(text: string): TokenBody | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null ? parsed : undefined;
  } catch {
    return undefined;
  }
}
