import { CodedError } from "@varve/errors";
import { readAtMost } from "../http/body.ts";
import { failureOf } from "../http/failure.ts";
import { describeUrl } from "../http/printable.ts";
import type { Reply } from "../http/reply.ts";
import { withRetries } from "../http/retry.ts";
import type { Exchange, Transport } from "../http/transport.ts";
import type { Settings } from "../options.ts";
import { secretsIn } from "./credential-secrets.ts";
import { byGet, byPost } from "./token-request.ts";
import type { TokenRequest } from "./token-request.ts";

export interface Token {
  readonly value: string;
  /** In milliseconds of `Date.now()`: when to get a new one. */
  readonly refreshAt: number;
  /** When the server says that it ends. */
  readonly expiresAt: number;
  /** Takes the place of the identity token, or the password, that was sent. */
  readonly identityToken: string | undefined;
}

const maxTokenBody = 1024 * 1024;
// It goes into a header of each request, and many are kept.
const maxTokenLength = 64 * 1024;
const minLifetime = 60;
// Answers by which servers say that they do not know the form of the request.
const otherForm: ReadonlySet<number> = new Set([400, 404, 405]);

/**
 * Gets an access token. User and password go by GET with Basic, which is what docker does and every server of GCR, ACR and
 * Artifactory takes, and by an OAuth2 POST where a server knows only that; identity tokens always by POST (A5, A6).
 *
 * @throws ERR_UNAUTHENTICATED the server does not accept the credentials
 */
export async function fetchToken(transport: Transport, settings: Settings, request: TokenRequest): Promise<Token> {
  const { credentials, realm, signal } = request;
  const ask = (exchange: Exchange): Promise<Reply> =>
    withRetries(settings, { host: realm.host, signal }, () => transport.exchange(exchange));
  const identity = credentials !== undefined && "identityToken" in credentials;
  let reply = await ask(identity ? byPost(request) : byGet(request));
  if (!identity && credentials !== undefined && otherForm.has(reply.status)) {
    await reply.discard();
    reply = await ask(byPost(request));
  }
  if (reply.status !== 200) throw await refusalOf(reply, credentials === undefined ? [] : secretsIn(credentials));
  return readToken(reply);
}

/** What a token server does not have says nothing about what the registry has: its 404 is no ERR_NOT_FOUND. */
async function refusalOf(reply: Reply, secrets: readonly string[]): Promise<CodedError> {
  const error = await failureOf(reply, secrets);
  const { status } = reply;
  if (status === 403 || status === 408 || status === 429 || status >= 500) return error;
  return new CodedError("ERR_UNAUTHENTICATED", error.message);
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
  const value = [body?.token, body?.access_token].find(
    (found) => found !== undefined && found !== null && found !== "",
  );
  if (!isToken(value)) throw new CodedError("ERR_INVALID_DATA", `${subject}: the answer has no token`);
  const told = Number(body?.expires_in);
  const lifetime = told > minLifetime ? told : minLifetime;
  const now = Date.now();
  return {
    value,
    // A little early: a token must outlive the way to the registry.
    refreshAt: now + lifetime * 900,
    expiresAt: now + lifetime * 1000,
    identityToken: isToken(body?.refresh_token) ? body.refresh_token : undefined,
  };
}

/** Anything else could not be sent. */
function isToken(value: unknown): value is string {
  return typeof value === "string" && value.length <= maxTokenLength && /^[\u0021-\u007e]+$/.test(value);
}

function parseObject(text: string): TokenBody | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null ? parsed : undefined;
  } catch {
    return undefined;
  }
}
