import type { Reply } from "../http/reply.ts";
import { namedAddress } from "./named-address.ts";

/** Where the list goes on: the `next` of the `Link` headers, relative to what was asked (RFC 8288). */
export function nextPage(reply: Reply): URL | undefined {
  for (const link of reply.headers("link").flatMap((header) => header.split("<").slice(1))) {
    const end = link.indexOf(">");
    if (end === -1) continue;
    const relation = /;\s*rel\s*=\s*"?([^";,]*)/i.exec(link.slice(end + 1))?.[1] ?? "";
    if (!relation.toLowerCase().split(" ").includes("next")) continue;
    const url = namedAddress(link.slice(0, end).trim(), reply);
    if (url !== undefined) return url;
  }
  return undefined;
}
