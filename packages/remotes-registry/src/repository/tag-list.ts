import { CodedError } from "@varve/errors";
import type { TagsOptions } from "@varve/remotes";
import type { RegistryRequest } from "../hosts/registry-host.ts";
import { describeUrl } from "../http/printable.ts";
import { pages, parsePage } from "./pages.ts";
import type { Page } from "./pages.ts";
import type { RepositoryPlace } from "./referrers-api.ts";
import { isTag } from "./tag.ts";

/** The tags of a repository (R6). What a registry lists and is no tag is left out, and told of. */
export async function* tagList(place: RepositoryPlace, options: TagsOptions): AsyncGenerator<string, void, undefined> {
  const { last, pageSize = 1000 } = options;
  if (!Number.isSafeInteger(pageSize) || pageSize < 1) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `tags: page size ${pageSize}: not a whole number above 0`);
  }
  const request: RegistryRequest = {
    method: "GET",
    repository: place.repository,
    target: listAfter(last, pageSize),
    purpose: "resolve",
    headers: { accept: "application/json" },
    signal: place.signal,
  };
  const reply = await place.registry.send(request);
  if (reply.status !== 200) throw await place.registry.failure(reply, request);
  let previous = last;
  // Some registries page, and do not say how it goes on. A full page may be all there is.
  const otherwise = (page: Page): string | undefined => {
    const entries = entriesIn(page);
    const end = entries.findLast(isTagText);
    if (entries.length !== pageSize || end === undefined || end === previous) return undefined;
    previous = end;
    return listAfter(end, pageSize);
  };
  for await (const page of pages(place, request, reply, otherwise)) yield* tagsIn(page, place);
}

function* tagsIn(page: Page, { repository, settings }: RepositoryPlace): Generator<string, void, undefined> {
  const entries = entriesIn(page);
  const tags = entries.filter(isTagText);
  const others = entries.length - tags.length;
  if (others > 0) {
    const text = `repository ${repository}: ${others} of the tags listed are none, and left out`;
    settings.onNotice({ type: "warning", host: page.reply.url.host, text });
  }
  yield* tags;
}

function isTagText(entry: unknown): entry is string {
  return typeof entry === "string" && isTag(entry);
}

function listAfter(last: string | undefined, pageSize: number): string {
  return `tags/list?n=${pageSize}${last === undefined ? "" : `&last=${encodeURIComponent(last)}`}`;
}

function entriesIn(page: Page): readonly unknown[] {
  const list = parsePage(page);
  const tags = typeof list === "object" && list !== null && "tags" in list ? list.tags : undefined;
  // A repository without tags has null.
  if (tags === null || tags === undefined) return [];
  if (Array.isArray(tags)) return tags;
  const { method, url } = page.reply;
  throw new CodedError("ERR_INVALID_DATA", `${method} ${describeUrl(url)}: not a list of tags`);
}
