import type { Call } from "./call.ts";
import { ProtocolError } from "./protocol-error.ts";
import type { TagStore } from "./tag-store.ts";

const maxPage = 10_000;

/** Answers with the tags of a repository, in order, by pages if asked (`n`, `last`). */
export function sendTags(call: Call, repository: string, tags: readonly string[]): void {
  if (tags.length === 0) throw new ProtocolError("NAME_UNKNOWN", "repository unknown to this registry");
  const { page, link } = pageOf(call.url, tags);
  call.json(200, { name: repository, tags: page }, link);
}

/** Answers with the repositories that have tags. */
export async function sendCatalog(call: Call, tags: TagStore): Promise<void> {
  const { page, link } = pageOf(call.url, await tags.repositories());
  call.json(200, { repositories: page }, link);
}

function pageOf(url: URL, all: readonly string[]): { page: string[]; link: Record<string, string> } {
  const asked = url.searchParams.get("n");
  const last = url.searchParams.get("last");
  const count = asked !== null && /^\d{1,9}$/.test(asked) ? Math.min(Number(asked), maxPage) : maxPage;
  const rest = all.filter((name) => last === null || name > last).toSorted();
  const page = rest.slice(0, count);
  const end = page.at(-1);
  if (end === undefined || page.length === rest.length) return { page, link: {} };
  const ns = url.searchParams.get("ns");
  const query = new URLSearchParams({ n: String(count), last: end, ...(ns !== null && { ns }) });
  return { page, link: { link: `<${url.pathname}?${query.toString()}>; rel="next"` } };
}
