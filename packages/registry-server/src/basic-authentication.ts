import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { AccessRequest, Authenticate } from "./authenticate.ts";

export interface BasicAuthenticationOptions {
  /** Whether this is the password of this user. Whoever compares secrets here should do so in constant time. */
  readonly verify: (user: string, password: string) => boolean | Promise<boolean>;
  /** What a user who is known may do. Default: everything. */
  readonly authorize?: ((user: string, request: AccessRequest) => boolean | Promise<boolean>) | undefined;
  /** Shown to people who are asked for a password. Default: `registry`. */
  readonly realm?: string | undefined;
}

const maxCredentials = 8192;

/** Asks clients for a name and a password (RFC 7617). Use it behind TLS only: both travel with every request. */
export function basicAuthentication(options: BasicAuthenticationOptions): Authenticate {
  const { verify, authorize, realm = "registry" } = options;
  const challenge = { challenge: `Basic realm=${quoted(realm)}, charset="UTF-8"` };
  return async (request) => {
    const credentials = credentialsIn(request.authorization);
    if (credentials === undefined) return challenge;
    const [user, password] = credentials;
    if (!(await verify(user, password))) return challenge;
    return authorize === undefined || (await authorize(user, request)) ? "allow" : "deny";
  };
}

/**
 * Compares passwords with a fixed list, in a time that tells nothing of them, nor of which users there are. The passwords
 * themselves are not kept.
 */
export function passwordList(passwords: Readonly<Record<string, string>>): (user: string, password: string) => boolean {
  const key = randomBytes(32);
  const hash = (text: string): Buffer => createHmac("sha256", key).update(text).digest();
  const known = new Map(Object.entries(passwords).map(([user, password]) => [user, hash(password)]));
  const nobody = randomBytes(32);
  return (user, password) => timingSafeEqual(known.get(user) ?? nobody, hash(password));
}

function credentialsIn(authorization: string | undefined): readonly [user: string, password: string] | undefined {
  if (authorization === undefined || authorization.length > maxCredentials) return undefined;
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization)?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, "base64").toString();
  const colon = text.indexOf(":");
  return colon < 0 ? undefined : [text.slice(0, colon), text.slice(colon + 1)];
}

/** A quoted string of HTTP; what may not stand in a header becomes a question mark. */
export function quoted(text: string): string {
  return `"${text.replaceAll(/[^\u0020-\u007E]/g, "?").replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}
