import { CodedError } from "@varve/errors";
import { describeUrl } from "./printable.ts";
import type { Reply } from "./reply.ts";
import type { Exchange } from "./transport.ts";

/** So many are followed for one request. */
export const maxRedirects = 10;

const alwaysFollowed: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const followedWithBody: ReadonlySet<number> = new Set([307, 308]);
// What may go to a host that a registry redirects to. Above all not: Authorization, Cookie, headers of the user.
const harmlessHeaders: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "content-length",
  "content-type",
  "range",
  "user-agent",
]);

/** What of some headers may go to any host. */
export function withoutSecrets(headers: Exchange["headers"]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => harmlessHeaders.has(name)));
}

/** Whether an answer is a redirect that is followed for such a request. */
export function isRedirect(reply: Reply, { method }: Exchange): boolean {
  const followed = method === "GET" || method === "HEAD" ? alwaysFollowed : followedWithBody;
  return followed.has(reply.status) && reply.header("location") !== undefined;
}

/**
 * Where a redirect leads to.
 *
 * @throws ERR_INVALID_DATA it is no address of http
 */
export function redirectTarget(reply: Reply, request: Exchange): URL {
  const target = URL.parse(reply.header("location") ?? "", reply.url.href);
  if (target === null || (target.protocol !== "http:" && target.protocol !== "https:")) {
    throw new CodedError("ERR_INVALID_DATA", `${request.method} ${describeUrl(request.url)}: redirected to no address`);
  }
  return target;
}

/** The error for redirects without end. */
export function redirectFailure(request: Exchange, hops: number): CodedError {
  const why = hops > maxRedirects ? `more than ${maxRedirects} redirects` : "redirected in a circle";
  return new CodedError("ERR_INVALID_DATA", `${request.method} ${describeUrl(request.url)}: ${why}`);
}
