import { parseChallenges } from "./challenge.ts";
import type { Settings } from "../options.ts";
import { checkRealm } from "./realm.ts";
import type { Reply } from "../http/reply.ts";
import { splitScopes } from "./scopes.ts";
import { fetchToken } from "./token.ts";
import { withoutSecrets } from "../http/redirects.ts";
import type { Exchange, Transport } from "../http/transport.ts";

/**
 * Asks a host that a registry redirected to, and that wants a token of its own, once more with an anonymous token.
 * It never gets the registry's credentials, and what is known of the registry stays as it is (D4).
 *
 * @returns the new answer; the old one if it names no way that we can go
 */
export async function loginAnonymously(
  transport: Transport,
  settings: Settings,
  reply: Reply,
  exchange: Exchange,
): Promise<Reply> {
  const challenges = parseChallenges(reply.headers("www-authenticate"));
  const parameters = challenges.find(({ scheme }) => scheme === "bearer")?.parameters;
  const realm = URL.parse(parameters?.get("realm") ?? "");
  if (parameters === undefined || realm === null) return reply;
  await reply.discard();
  checkRealm(realm, reply.url);
  const token = await fetchToken(transport, settings, {
    realm,
    service: parameters.get("service"),
    scopes: splitScopes(parameters.get("scope")),
    credentials: undefined,
    offline: false,
    userAgent: settings.userAgent,
    allow: (url) => checkRealm(url, reply.url),
    signal: exchange.signal,
  });
  const headers = { ...withoutSecrets(exchange.headers), authorization: `Bearer ${token.value}` };
  return transport.exchange({ ...exchange, url: reply.url, foreign: true, headers });
}
