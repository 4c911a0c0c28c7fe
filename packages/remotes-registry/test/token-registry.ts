import type { ServerResponse } from "node:http";
import { fakeRegistry, send, sendBlob } from "./fake-registry.ts";
import type { FakeRegistry, Script, Seen } from "./fake-registry.ts";
import { blob, sendManifest } from "./fixtures.ts";

/** What a token is asked for when `lib/app` is pulled. */
export const pullScope = "repository:lib/app:pull";

export function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  send(response, status, { "content-type": "application/json" }, JSON.stringify(value));
}

export interface TokenServer {
  /** Answers the token call; the default gives the token `t1`. */
  readonly token?: Script | undefined;
  /** The tokens that the registry accepts. Default: `t1`. */
  readonly accepts?: (token: string, seen: Seen) => boolean;
  /** What stands behind realm and service in the challenge. */
  readonly more?: string | undefined;
}

/** A registry that wants a token from its own `/token`. */
export function tokenRegistry(options: TokenServer = {}): Promise<FakeRegistry> {
  const { accepts = (token) => token === "t1", more = `,scope="${pullScope}"` } = options;
  const token: Script = options.token ?? ((_seen, response) => sendJson(response, { token: "t1" }));
  return fakeRegistry((seen, response) => {
    if (seen.path.startsWith("/token")) return token(seen, response);
    const sent = /^Bearer (.+)$/.exec(seen.headers.authorization ?? "")?.[1];
    if (sent !== undefined && accepts(sent, seen)) {
      if (seen.path.includes("/blobs/")) sendBlob(seen, response, blob);
      else sendManifest(seen, response);
      return undefined;
    }
    const challenge = `Bearer realm="http://${seen.headers.host}/token",service="reg"${more}`;
    send(response, 401, { "www-authenticate": challenge });
    return undefined;
  });
}

export function tokenCalls(registry: FakeRegistry): Seen[] {
  return registry.seen.filter(({ path }) => path.startsWith("/token"));
}
