import { digestOf } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { RegistryRequest } from "../hosts/registry-host.ts";
import { readAtMost } from "../http/body.ts";
import { describeUrl } from "../http/printable.ts";
import type { Reply } from "../http/reply.ts";
import { nextPage } from "./next-page.ts";
import type { RepositoryPlace } from "./referrers-api.ts";

const maxPages = 5000;

/** One answer of a list. */
export interface Page {
  readonly reply: Reply;
  readonly bytes: Buffer;
}

/**
 * Asks for a list, page by page, as long as each names the next. Every page is bounded, and so is their number.
 *
 * @param first the answer that begins the list; the error for any other is the caller's affair
 * @param otherwise where to go on when a page names no other
 * @throws ERR_INVALID_DATA a page names one that was asked for before
 * @throws ERR_RESOURCE_EXHAUSTED a page is too large, or there are too many
 */
export async function* pages(
  place: RepositoryPlace,
  first: RegistryRequest,
  firstReply: Reply,
  otherwise: (page: Page) => string | undefined = () => undefined,
): AsyncGenerator<Page, void, undefined> {
  const { registry, settings } = place;
  // Digests: addresses may be long, and there may be many.
  const asked = new Set<string>([digestOf(firstReply.url.href)]);
  let reply = firstReply;
  for (let count = 1; ; count += 1) {
    const page = { reply, bytes: await readAtMost(reply, settings.maxManifestSize) };
    yield page;
    const link = nextPage(reply);
    const target = link ?? otherwise(page);
    if (target === undefined) return;
    const subject = `${reply.method} ${describeUrl(reply.url)}`;
    const key = digestOf(typeof target === "string" ? target : target.href);
    if (asked.has(key)) throw new CodedError("ERR_INVALID_DATA", `${subject}: the list goes round in a circle`);
    if (count === maxPages) throw new CodedError("ERR_RESOURCE_EXHAUSTED", `${subject}: more than ${maxPages} pages`);
    asked.add(key);
    const request: RegistryRequest = { ...first, target, continues: reply };
    reply = await registry.send(request);
    if (reply.status !== 200) throw await registry.failure(reply, request);
  }
}

/** Reads a page of JSON. */
export function parsePage({ reply, bytes }: Page): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw new CodedError("ERR_INVALID_DATA", `${reply.method} ${describeUrl(reply.url)}: not JSON`, { cause: error });
  }
}
