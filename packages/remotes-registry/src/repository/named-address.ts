import { CodedError } from "@varve/errors";
import { leadsInside } from "../auth/realm.ts";
import { describeUrl } from "../http/printable.ts";
import type { Reply } from "../http/reply.ts";

/**
 * An address that an answer names: that of an upload, or of the next page.
 *
 * @returns `undefined` if it is no http or https address
 * @throws ERR_PERMISSION_DENIED a registry outside sends us to an address inside a network
 */
export function namedAddress(text: string, reply: Reply): URL | undefined {
  const url = URL.parse(text, reply.url.href);
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
  if (!leadsInside(url, reply.url) || leadsInside(reply.url, undefined)) return url;
  const subject = `${reply.method} ${describeUrl(reply.url)}`;
  throw new CodedError("ERR_PERMISSION_DENIED", `${subject}: goes on at ${url.host}, an address of an inner network`);
}
